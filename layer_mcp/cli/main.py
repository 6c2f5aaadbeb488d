"""The commands: parse, call, print."""

import argparse
import contextlib
import dataclasses
import gc
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..setting_values import SettingsError, folder, is_given
from ..settings import Settings
from .argument_types import unicode_text
from .attaching import add_attaching
from .command_parser import CommandParser, Commands
from .doctor import add_doctor
from .exit_codes import (
    EXIT_BROKEN_PIPE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
)
from .login import add_login
from .logs import log_to_stderr
from .own_sandbox import with_own_sandbox
from .people import add_people
from .toolset_option import add_toolsets
from .unwritten import drop_unwritten

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from ..server.state import App
    from ..server.submissions import Submissions

DEFAULT_PORT = 8750
DEFAULT_PROMPT = "a red potion in a round bottle"

DESCRIPTION = """\
The MCP server for Layer: AI agents make game assets through it.
Without a command it speaks MCP on stdin and stdout, as a host such as Claude Desktop wants it.
"""
TERMINAL_HINT = """\
layer-mcp waits for an MCP host on stdin. To see it work, run: layer-mcp demo
Ctrl+C ends it."""
EXIT_CODES = "exit codes: 0 done, 1 failed, 2 wrong usage or setting, 130 interrupted"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _replace_what_the_terminal_cannot_show()
    try:
        # Some commands load what their options are made of.
        options = parser().parse_args(arguments)
        code = options.run(options)
        print(end="", flush=True)
        return code
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        drop_unwritten()
        return EXIT_BROKEN_PIPE
    except (SettingsError, OSError) as error:
        print(f"layer-mcp: {_in_words(error)}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _in_words(error: Exception) -> str:
    """The error without the number that an operating system gives it."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = CommandParser(
        prog="layer-mcp",
        usage="layer-mcp [options] [COMMAND ...]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"layer-mcp {__version__}")
    _add_sandbox_flag(top, default=False)
    add_toolsets(top, default=None)
    top.set_defaults(run=serve, http=False, host="127.0.0.1", port=DEFAULT_PORT, input_dirs=())
    commands = Commands(top)
    add_people(commands.group("assets"))

    add_command = commands.group("server")
    command = add_command("serve", help="the MCP server, on stdio or HTTP")
    command.add_argument("--http", action="store_true", help="serve Streamable HTTP, not stdio")
    command.add_argument("--host", default="127.0.0.1", help="loopback address (%(default)s)")
    _add_port(command, DEFAULT_PORT)
    _add_sandbox_flag(command, default=argparse.SUPPRESS)
    add_toolsets(command)
    command.add_argument(
        "--input-dirs",
        nargs="*",
        default=(),
        metavar="DIR",
        help="folders whose files may be uploaded, instead of LAYER_INPUT_DIRS",
    )
    command.set_defaults(run=serve)

    command = add_command("sandbox", help="serve a simulated Layer on loopback")
    _add_port(command, DEFAULT_PORT + 1)
    command.add_argument(
        "--run-seconds",
        type=_seconds,
        metavar="S",
        help="how long a run takes",
    )
    command.set_defaults(run=sandbox)

    command = add_command("demo", help="make one simulated picture, as a host would")
    command.add_argument(
        "--prompt", type=unicode_text, default=DEFAULT_PROMPT, help='"%(default)s"'
    )
    command.add_argument(
        "--out", type=Path, default=Path("layer-demo"), metavar="DIR", help="folder (%(default)s)"
    )
    command.set_defaults(run=demo)

    add_attaching(commands.group("clients"))
    add_command = commands.group("account")
    add_login(add_command)
    add_doctor(add_command)
    top.epilog = f"{commands.listing()}\n\n{EXIT_CODES}"
    return top


def serve(options: argparse.Namespace) -> int:
    """The MCP server."""
    create_server = _import_of_the_server()
    from ..server.submissions import Submissions  # noqa: PLC0415

    settings = Settings.from_env()
    settings = dataclasses.replace(
        settings,
        sandbox=settings.sandbox or options.sandbox,
        toolsets=options.toolsets or settings.toolsets,
        input_dirs=_folders(options.input_dirs) or settings.input_dirs,
    )
    log_to_stderr(settings.log_level)
    with with_own_sandbox(settings) as effective:
        submissions = Submissions()
        notes = _sandbox_notes(effective)
        server = create_server(effective, notes=notes, submissions=submissions)
        if options.http:
            from ..server.transport import serve_http  # noqa: PLC0415

            serve_http(server, options.host, options.port)
        else:
            _serve_stdio(server, submissions)
    return EXIT_OK


def _import_of_the_server() -> "Callable[..., MCPServer[App]]":
    """create_server; imported here because `--version` needs no server.

    Without garbage collection in between, which takes a tenth of the start and finds nothing.
    """
    gc.disable()
    try:
        from ..server.app import create_server  # noqa: PLC0415

        return create_server
    finally:
        gc.freeze()
        gc.enable()


def _serve_stdio(server: "MCPServer[App]", submissions: "Submissions") -> None:
    if sys.stdin is None or sys.stdout is None:
        raise SettingsError("stdin and stdout must be open: the host speaks through them.")
    # The SDK reads stdin in a thread that a KeyboardInterrupt would wait for.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What was sent is paid for: a host that ends the process gets its answer written down first.
    signal.signal(signal.SIGTERM, lambda _number, _frame: submissions.then(_end_by_signal))
    if sys.stdin.isatty():
        print(TERMINAL_HINT, file=sys.stderr)
    try:
        server.run("stdio")
    except* BrokenPipeError:
        print("layer-mcp: the host has closed the connection", file=sys.stderr)


def _end_by_signal() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def demo(options: argparse.Namespace) -> int:
    """One picture through the server, saved to a folder."""
    from .demo import DemoError, run_demo  # noqa: PLC0415

    try:
        run_demo(options.prompt, options.out)
    except DemoError as error:
        print(f"layer-mcp: {error}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


def sandbox(options: argparse.Namespace) -> int:
    """A simulated Layer, until it is interrupted."""
    from ..sandbox import SandboxState, running_sandbox  # noqa: PLC0415

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    state = SandboxState()
    if options.run_seconds is not None:
        state.knobs.run_seconds = options.run_seconds
    with running_sandbox(state, port=options.port) as running:
        print("A simulated Layer. Nothing is charged. To use it, set:")
        print("LAYER_SANDBOX=1")
        print(f"LAYER_API_URL={running.api_url}")
        print(f"LAYER_API_KEY={running.token}")
        print(f"LAYER_WORKSPACE_ID={running.workspace_id}")
        print("Models:")
        for model in running.state.models:
            print(f"  {model.model_id}  {model.name} ({model.modality})")
        print("Stop it with Ctrl+C.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
    return EXIT_OK


def _replace_what_the_terminal_cannot_show() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _sandbox_notes(settings: Settings) -> str:
    if not settings.sandbox:
        return ""
    from ..sandbox.catalog import models_in_words, sandbox_models  # noqa: PLC0415

    models = models_in_words(sandbox_models())
    return f"This is a sandbox: runs are simulated and free. Models: {models}.\n"


def _add_sandbox_flag(command: argparse.ArgumentParser, default: object) -> None:
    command.add_argument(
        "--sandbox",
        action="store_true",
        default=default,
        help="use a simulated Layer: no account, no charge",
    )


def _folders(arguments: Sequence[str]) -> tuple[str, ...]:
    """The folders that are named; Claude Desktop leaves `${...}` where the user named none."""
    return tuple(folder("--input-dirs", text) for text in arguments if is_given(text))


def _add_port(command: argparse.ArgumentParser, default: int) -> None:
    command.add_argument(
        "--port", type=_port, default=default, metavar="N", help="port, 0 for any (%(default)s)"
    )


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 3600:
            return float(text)
    raise argparse.ArgumentTypeError("must be a number from 0 to 3600")


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
