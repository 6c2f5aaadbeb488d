"""The command line of what people do at a terminal: generate, price, status, runs, models.

Each command is in a file of its own, which is loaded when it is called: they all need the server.
"""

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import Any

from .argument_types import price, unicode_text, whole_number
from .command_parser import CommandParser

PICTURES = ("auto", "blocks", "never")
RUN_STATES = ("running", "complete", "failed", "stopped", "unknown", "not_sent")


def add_people(add_command: Callable[..., CommandParser]) -> None:
    """Add the commands to the command line, by argparse's `add_parser`."""
    for name, says, add_options in (
        ("generate", "make pictures, video, 3D or audio, and save them", _generate_options),
        ("price", "what a generation would cost; nothing is started", _price_options),
        ("status", "how a run is, and its files", _status_options),
        ("runs", "what was started from this machine, and its price", _runs_options),
        ("models", "the models that there are", _models_options),
        ("model", "what one model can do", _model_options),
    ):
        command = add_command(name, help=says, description=_sentence(says), allow_abbrev=False)
        command.is_command = True
        command.late = add_options
        command.set_defaults(run=_in_file(name))


def _generate_options(command: CommandParser) -> None:
    from .generation_options import add_request_options  # noqa: PLC0415

    command.usage = "layer-mcp generate PROMPT --model NAME [options]"
    command.epilog = 'A prompt that begins with "-" goes last, after "--".'
    group = command.add_argument_group("files and money")
    _add_out(group)
    group.add_argument(
        "--max-price", type=price, metavar="CU", help="agree to a price up to this, unasked"
    )
    group.add_argument("--repeat", action="store_true", help="pay again for a call made before")
    group.add_argument(
        "--no-wait", action="store_true", help="print the run's id and leave it running"
    )
    _add_picture(group)
    add_request_options(command)
    _add_common(command)


def _price_options(command: CommandParser) -> None:
    from .generation_options import add_request_options  # noqa: PLC0415

    command.usage = "layer-mcp price PROMPT --model NAME [options]"
    add_request_options(command)
    _add_common(command)


def _status_options(command: CommandParser) -> None:
    command.add_argument("run_id", metavar="RUN_ID", help="from generate or runs")
    command.add_argument("--wait", action="store_true", help="wait until the run has ended")
    _add_out(command)
    _add_picture(command)
    _add_common(command)


def _runs_options(command: CommandParser) -> None:
    command.add_argument("--status", choices=RUN_STATES, help="only these")
    command.add_argument("--since", metavar="TIME", help="30m, 24h, 7d or a date")
    command.add_argument("--batch", metavar="ID", help="only the runs of this batch")
    _add_page(command)
    _add_common(command)


def _models_options(command: CommandParser) -> None:
    from .generation_options import add_model_filters  # noqa: PLC0415

    command.add_argument(
        "search",
        nargs="?",
        type=unicode_text,
        metavar="SEARCH",
        help="words in name or description",
    )
    add_model_filters(command)
    _add_page(command)
    _add_common(command)


def _model_options(command: CommandParser) -> None:
    command.add_argument("model", type=unicode_text, metavar="NAME", help="name or id of a model")
    _add_common(command)


def _add_out(command: Any) -> None:
    command.add_argument(
        "--out",
        type=unicode_text,
        metavar="DIR",
        help="folder for the files (LAYER_OUTPUT_DIR, else Layer in your home)",
    )


def _add_picture(command: Any) -> None:
    command.add_argument(
        "--picture",
        choices=PICTURES,
        default="auto",
        help="show the result: where the terminal can (auto), as coloured blocks, or never",
    )


def _add_page(command: argparse.ArgumentParser) -> None:
    command.add_argument("--limit", type=whole_number, metavar="N", help="rows (20)")
    command.add_argument("--cursor", metavar="TEXT", help="next_cursor of the page before")


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON for programs")
    command.add_argument(
        "--workspace", type=unicode_text, metavar="NAME", help="workspace: id, slug or name"
    )
    command.add_argument(
        "--sandbox",
        action="store_true",
        default=argparse.SUPPRESS,
        help="use a simulated Layer: no account, no charge",
    )


def _in_file(name: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        from .calling import reporting  # noqa: PLC0415

        return reporting(import_module(f".{name}", __package__).run, options)

    return run


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
