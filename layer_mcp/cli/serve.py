"""layer-mcp serve, and layer-mcp alone: the MCP server's process, on stdio or HTTP."""

import argparse
import dataclasses
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..settings import Settings, SettingsError, is_given, parse_folder
from .clients import add_toolsets
from .output import log_to_stderr
from .parser import EXIT_OK, CommandParser, add_port, add_sandbox_flag
from .sandbox import own_sandbox

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from ..runs.activity import Submissions
    from ..server.context import App

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8750
TERMINAL_HINT = """\
layer-mcp waits for an MCP host on stdin. To see it work, run: layer-mcp demo
Ctrl+C ends it."""


def serve_by_default(top: CommandParser) -> None:
    """Make a command line without a command start the server on stdio."""
    add_sandbox_flag(top, default=False)
    add_toolsets(top, default=None)
    top.set_defaults(run=serve, http=False, host=DEFAULT_HOST, port=DEFAULT_PORT, input_dirs=())


def add_serve(add_command: Callable[..., CommandParser]) -> None:
    """Add the command."""
    command = add_command("serve", help="the MCP server, on stdio or HTTP")
    command.add_argument("--http", action="store_true", help="serve Streamable HTTP, not stdio")
    command.add_argument("--host", default=DEFAULT_HOST, help="loopback address (%(default)s)")
    add_port(command, DEFAULT_PORT)
    add_sandbox_flag(command)
    add_toolsets(command)
    command.add_argument(
        "--input-dirs",
        nargs="*",
        default=(),
        metavar="DIR",
        help="folders whose files may be uploaded, instead of LAYER_INPUT_DIRS",
    )
    command.set_defaults(run=serve)


def serve(options: argparse.Namespace) -> int:
    """Run the MCP server until its host disconnects or a signal ends it.

    Raises:
        SettingsError: a setting or an option is invalid, or a standard stream is closed.
    """
    create_server = _import_create_server()
    from ..runs.activity import Submissions  # noqa: PLC0415

    settings = Settings.from_env()
    settings = dataclasses.replace(
        settings,
        sandbox=settings.sandbox or options.sandbox,
        toolsets=options.toolsets or settings.toolsets,
        input_dirs=_given_folders(options.input_dirs) or settings.input_dirs,
    )
    log_to_stderr(settings.log_level)
    with own_sandbox(settings) as effective:
        submissions = Submissions()
        notes = _sandbox_notes(effective)
        server = create_server(effective, notes=notes, submissions=submissions)
        if options.http:
            from ..server.transport import serve_http  # noqa: PLC0415

            serve_http(server, options.host, options.port)
        else:
            _serve_stdio(server, submissions)
    return EXIT_OK


def _import_create_server() -> "Callable[..., MCPServer[App]]":
    """Import the server only now, because `--version` doesn't need it.

    Garbage collection would take a tenth of the start-up time, and find nothing.
    """
    gc.disable()
    try:
        from ..server.app import create_server  # noqa: PLC0415

        return create_server
    finally:
        gc.freeze()
        gc.enable()


def _given_folders(arguments: Sequence[str]) -> tuple[str, ...]:
    # Claude Desktop passes `${...}` for a setting that the user left empty.
    return tuple(parse_folder("--input-dirs", text) for text in arguments if is_given(text))


def _sandbox_notes(settings: Settings) -> str:
    if not settings.sandbox:
        return ""
    from ..sandbox.catalog import models_in_words, sandbox_models  # noqa: PLC0415

    models = models_in_words(sandbox_models())
    return f"This is a sandbox: runs are simulated and free. Models: {models}.\n"


def _serve_stdio(server: "MCPServer[App]", submissions: "Submissions") -> None:
    if sys.stdin is None or sys.stdout is None:
        raise SettingsError("stdin and stdout must be open: the host speaks through them.")
    # The SDK reads stdin in a thread that a KeyboardInterrupt would wait for.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A request that was sent is paid for, so its response is recorded before the process ends.
    signal.signal(signal.SIGTERM, lambda _number, _frame: submissions.stop_then(_end_by_signal))
    if sys.stdin.isatty():
        print(TERMINAL_HINT, file=sys.stderr)
    try:
        server.run("stdio")
    except* BrokenPipeError:
        print("layer-mcp: the host has closed the connection", file=sys.stderr)


def _end_by_signal() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
