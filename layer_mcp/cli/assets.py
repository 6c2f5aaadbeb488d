"""The commands about runs, models, and workspaces: their options and implementations.

The implementations are loaded when they're called, because they need rich and pydantic.
"""

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, get_args

from .parser import AddCommand, CommandParser, add_sandbox_flag, price, unicode_text, whole_number

PICTURES = ("auto", "blocks", "never")
DASH_NOTE = 'Put a prompt that begins with "-" last, after "--".'
FROM_NOTE = """\
A file for --from has a prompt on each line, or is a JSON array or JSON lines of
prompts and of objects such as {"prompt": "a key", "width": 512, "name": "key"}."""


def add_asset_commands(add_command: AddCommand) -> None:
    """Add the commands that make assets and show what was made."""
    _add(
        add_command,
        "generate",
        "generation.generate.generate",
        _add_generate,
        help="generate images, video, 3D, or audio, and save the files",
        examples=[
            'layer-mcp generate "a red potion" --model "Sandbox Image" -n 1 --out art',
            'layer-mcp generate "as a cartoon" --model "Sandbox Image" --reference cat.png',
            'layer-mcp generate --from prompts.txt --model "Sandbox Image" -n 1',
        ],
        notes=f"{FROM_NOTE}\n{DASH_NOTE}",
    )
    _add(
        add_command,
        "price",
        "generation.generate.show_price",
        _add_price,
        help="estimate a price without starting anything",
        examples=['layer-mcp price "a red potion" --model "Sandbox Image" -n 4 --width 1024'],
    )
    _add(
        add_command,
        "status",
        "runs.show_status",
        _add_status,
        help="show a run and save its files",
        examples=["layer-mcp status last", "layer-mcp status a0a7495a --wait --out art"],
    )
    _add(
        add_command,
        "open",
        "runs.open_files",
        _add_open,
        help="open the saved files of a run",
        examples=["layer-mcp open", "layer-mcp open a0a7495a --folder"],
    )
    _add(
        add_command,
        "runs",
        "runs.list_runs",
        _add_runs,
        help="list runs started on this machine, with their prices",
        examples=["layer-mcp runs --since 24h", "layer-mcp runs --status failed --json"],
    )
    _add(
        add_command,
        "manifest",
        "manifest.write_manifest",
        _add_manifest,
        help="list every file that was made, for an AI disclosure",
        examples=["layer-mcp manifest --out made.csv", "layer-mcp manifest --folder art"],
    )
    _add(
        add_command,
        "models",
        "models.list_models",
        _add_models,
        help="list available models",
        examples=["layer-mcp models upscale", "layer-mcp models --modality video"],
    )
    _add(
        add_command,
        "model",
        "models.show_model",
        _add_model,
        help="show what a model can do",
        examples=['layer-mcp model "Sandbox Image"'],
    )


def add_account_commands(add_command: AddCommand) -> None:
    """Add the command that shows what an account has."""
    _add(
        add_command,
        "workspaces",
        "models.list_workspaces",
        _add_workspaces,
        help="list your workspaces and their balances",
        examples=["layer-mcp workspaces"],
    )


def _add(
    add_command: AddCommand,
    name: str,
    function: str,
    add_options: Callable[[CommandParser], None],
    *,
    help: str,
    examples: Sequence[str],
    notes: str = "",
) -> None:
    command = add_command(name, help=help, examples=examples, notes=notes, allow_abbrev=False)
    command.rejects_unknown = True
    command.late_options = add_options
    command.set_defaults(run=_import_when_called(function))


def _import_when_called(path: str) -> Callable[[argparse.Namespace], int]:
    module, _, function = path.rpartition(".")

    def run(options: argparse.Namespace) -> int:
        from .reporting import run_command  # noqa: PLC0415

        return run_command(getattr(import_module(f".{module}", __package__), function), options)

    return run


def _add_generate(command: CommandParser) -> None:
    from .generation.options import add_request_options  # noqa: PLC0415

    command.usage = "layer-mcp generate [PROMPT] [options]"
    group = command.add_argument_group("files and money")
    _add_out(group)
    group.add_argument(
        "--name",
        type=unicode_text,
        metavar="NAME",
        help="name of the files: sword.png, or sword_01.png and so on (from the prompt)",
    )
    group.add_argument(
        "--max-price",
        type=price,
        metavar="CU",
        help="maximum price; approves any price up to it",
    )
    group.add_argument("--repeat", action="store_true", help="pay for the same request again")
    group.add_argument(
        "--no-wait", action="store_true", help="print only the run's ID, and don't wait"
    )
    _add_picture(group)
    add_request_options(command)
    _add_common(command)


def _add_price(command: CommandParser) -> None:
    from .generation.options import add_request_options  # noqa: PLC0415

    command.usage = "layer-mcp price [PROMPT] [options]"
    add_request_options(command)
    _add_common(command)


def _add_status(command: CommandParser) -> None:
    _add_run_id(command)
    command.add_argument("--wait", action="store_true", help="wait until the run has ended")
    _add_out(command)
    _add_picture(command)
    _add_common(command)


def _add_open(command: CommandParser) -> None:
    _add_run_id(command, nargs="?", default="last")
    command.add_argument("--folder", action="store_true", help="open the folder of the files")
    _add_account(command)
    command.set_defaults(json=False)


def _add_runs(command: CommandParser) -> None:
    from ..runs.types.filters import StatusFilter  # noqa: PLC0415

    statuses = get_args(StatusFilter)
    command.add_argument(
        "--status", choices=statuses, metavar="STATUS", help=f"status: {', '.join(statuses)}"
    )
    command.add_argument("--since", metavar="TIME", help="earliest start: 30m, 24h, 7d, or a date")
    command.add_argument("--batch", metavar="ID", help="ID of a batch")
    _add_page(command)
    _add_common(command)


def _add_manifest(command: CommandParser) -> None:
    from ..runs.manifest.formats import FORMATS  # noqa: PLC0415

    command.add_argument("--since", metavar="TIME", help="earliest start: 30m, 24h, 30d, or a date")
    command.add_argument(
        "--folder",
        type=unicode_text,
        metavar="DIR",
        help="folder to list instead, including files from other machines",
    )
    command.add_argument(
        "--format", choices=list(FORMATS), help="format (by the extension of FILE, or markdown)"
    )
    command.add_argument(
        "--out", type=unicode_text, metavar="FILE", help="new file for the list (stdout)"
    )
    _add_account(command)
    command.set_defaults(json=False)


def _add_models(command: CommandParser) -> None:
    from .generation.options import add_model_filters  # noqa: PLC0415

    command.add_argument(
        "search",
        nargs="?",
        type=unicode_text,
        metavar="SEARCH",
        help="words in the name or description",
    )
    add_model_filters(command)
    _add_page(command)
    _add_common(command)


def _add_model(command: CommandParser) -> None:
    command.add_argument("model", type=unicode_text, metavar="NAME", help="name or ID of a model")
    _add_common(command)


def _add_workspaces(command: CommandParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")
    add_sandbox_flag(command)
    command.set_defaults(workspace=None)


def _add_run_id(command: CommandParser, **more: Any) -> None:
    command.add_argument(
        "run_id",
        metavar="RUN",
        help='ID of a run, its first characters, or "last" for the newest one',
        **more,
    )


def _add_out(command: Any) -> None:
    command.add_argument(
        "--out",
        type=unicode_text,
        metavar="DIR",
        help="folder for the files (LAYER_OUTPUT_DIR, or Layer in your home)",
    )


def _add_picture(command: Any) -> None:
    command.add_argument(
        "--picture",
        choices=PICTURES,
        default="auto",
        help="picture in the terminal: if supported (auto), as colored blocks, or never",
    )


def _add_page(command: argparse.ArgumentParser) -> None:
    command.add_argument("--limit", type=whole_number, metavar="N", help="maximum rows (20)")
    command.add_argument("--cursor", metavar="TEXT", help="cursor at the end of the previous page")


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")
    _add_account(command)


def _add_account(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--workspace", type=unicode_text, metavar="NAME", help="workspace ID, slug, or name"
    )
    add_sandbox_flag(command)
