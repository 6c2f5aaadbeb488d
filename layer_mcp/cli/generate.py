"""layer-mcp generate: from a prompt to files."""

import argparse
from pathlib import Path

from ..api.polling import is_terminal
from ..paths import find_write_problem
from ..settings import Settings
from .calling import homebound
from .connection import Server, ToolAnswer, with_server
from .following import Sent, how_to_come_back, look_at_inference, not_lost, show_run, state_of
from .images import choose_image_display
from .models import find_model_id
from .options import allow_named_files, read_request
from .output import Screen, ask_yes_or_no, line, plain
from .parser import EXIT_OK, UsageError
from .progress import progress_bar
from .run_view import started_line


def run(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """Start a run, wait for it, save its files.

    Raises:
        UsageError: what is asked for cannot be asked for.
        RefusedError: it was not started, or cannot be waited for.
    """
    request = read_request(options)
    settings = allow_named_files(homebound(settings, options.out), options)
    _check_writable(Path(settings.output_dir or ""))
    pictures = choose_image_display(options.picture if _shows_pictures(options) else "never")
    request |= {
        "max_price_creative_units": options.max_price,
        "repeat": options.repeat,
        "preview": pictures.is_enabled,
    }
    sent = Sent()
    with not_lost(sent, screen, options), progress_bar(screen.stderr) as bar:

        def ask(question: str) -> bool | None:
            sent.may_be_out = False
            with bar.pause():
                agreed = ask_yes_or_no(question)
            sent.may_be_out = bool(agreed)
            return agreed

        async def work(server: Server) -> ToolAnswer:
            request["model_id"] = await find_model_id(server, options.model)
            bar.start_phase("asking for the price")
            sent.may_be_out = True
            answer = await server.call("execute_inference", request, bar.update_upload)
            sent.run_id = answer.content["inference_id"]
            if is_terminal(answer.content["status"]):
                return answer
            with bar.pause():
                screen.note(started_line(answer.content))
            if options.no_wait:
                return answer
            look = look_at_inference(sent.run_id)
            return await state_of(server, look, bar, wait=True, preview=pictures.is_enabled)

        # A price that was agreed to on the command line is not asked about again.
        asks = screen.can_ask and options.max_price is None
        answer = with_server(settings, work, ask if asks else None)
    if options.no_wait and not options.json and not is_terminal(answer.content["status"]):
        screen.show(line(plain(answer.content["inference_id"])))
        screen.note(how_to_come_back(answer.content["inference_id"], options))
        return EXIT_OK
    return show_run(answer, screen, pictures, options)


def _shows_pictures(options: argparse.Namespace) -> bool:
    return not options.json and not options.no_wait


def _check_writable(folder: Path) -> None:
    """Make sure of the folder before anything is paid.

    Raises:
        UsageError: nothing can be written there.
    """
    problem = find_write_problem(folder)
    if problem is not None:
        raise UsageError(f"Nothing can be saved in {folder}: {problem}. Name another with --out.")
