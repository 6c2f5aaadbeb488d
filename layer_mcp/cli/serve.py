"""layer-mcp serve and sandbox: the MCP server on stdio or HTTP, and a simulated Layer."""

import argparse
import dataclasses
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from ..network import is_loopback
from ..settings import Settings, SettingsError, is_given, parse_folder
from ..signals import Interrupted, end_by_signal, stop_on_signals
from .clients import add_toolsets
from .output import log_to_stderr
from .parser import EXIT_OK, CommandParser, add_port, add_sandbox_flag

if TYPE_CHECKING:
    from ..runs.activity import Submissions
    from ..server.app import LayerServer

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8750
TERMINAL_HINT = """\
layer-mcp waits for an MCP host on stdin. To see it work, run: layer-mcp demo
Ctrl+C ends it."""
HOST_HAS_LEFT = "layer-mcp: the host has closed the connection"


def serve_by_default(top: CommandParser) -> None:
    """Make a command line without a command start the server on stdio."""
    add_sandbox_flag(top, default=False)
    add_toolsets(top, default=None)
    top.set_defaults(run=serve, http=False, host=DEFAULT_HOST, port=DEFAULT_PORT, input_dirs=())


def add_servers(add_command: Callable[..., CommandParser]) -> None:
    """Add the commands serve and sandbox."""
    command = add_command("serve", help="run the MCP server over stdio or HTTP")
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

    command = add_command("sandbox", help="run a simulated Layer on this machine")
    add_port(command, DEFAULT_PORT + 1)
    command.add_argument("--run-seconds", type=_seconds, metavar="S", help="duration of a run")
    command.set_defaults(run=serve_sandbox)


def serve(options: argparse.Namespace) -> int:
    """Run the MCP server until its host disconnects or a signal ends it.

    Raises:
        SettingsError: a setting or an option is invalid, or a standard stream is closed.
        Interrupted: a signal ended the HTTP server, other than SIGTERM.
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
            from ..server.transport_http import serve_http  # noqa: PLC0415

            number = serve_http(server, options.host, options.port, submissions)
            # Supervisors expect 0 of a server that they asked to end.
            if number not in (None, signal.SIGTERM):
                raise Interrupted(number)
            return EXIT_OK
        _serve_stdio(server, submissions)
    return EXIT_OK


def serve_sandbox(options: argparse.Namespace) -> int:
    """Serve a simulated Layer until it's interrupted."""
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
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
    return EXIT_OK


@contextmanager
def own_sandbox(settings: Settings) -> Generator[Settings]:
    """Start a sandbox if the settings ask for one without naming its address.

    Yields the settings for it, or the given settings if no sandbox is needed.
    """
    if not settings.sandbox or is_loopback(settings.api_url):
        yield settings
        return
    from ..sandbox import running_sandbox  # noqa: PLC0415

    with running_sandbox() as running:
        yield dataclasses.replace(
            settings,
            api_url=running.api_url,
            api_token=running.token,
            workspace=running.workspace_id,
        )


def _import_create_server() -> "Callable[..., LayerServer]":
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


def _serve_stdio(server: "LayerServer", submissions: "Submissions") -> None:
    if sys.stdin is None or sys.stdout is None:
        raise SettingsError("stdin and stdout must be open: the host speaks through them.")
    import anyio  # noqa: PLC0415

    if sys.stdin.isatty():
        print(TERMINAL_HINT, file=sys.stderr)
    try:
        anyio.run(_run_stdio, server, submissions)
    except* BrokenPipeError:
        print(HOST_HAS_LEFT, file=sys.stderr)


async def _run_stdio(server: "LayerServer", submissions: "Submissions") -> None:
    import anyio  # noqa: PLC0415

    stopped = anyio.Event()

    def leave() -> None:
        if received.number is not None:
            end_by_signal(received.number)
        # The host may have closed stderr too.
        with suppress(OSError):
            print(HOST_HAS_LEFT, file=sys.stderr, flush=True)
        os._exit(EXIT_OK)

    # A request that was sent is paid for, so its response is recorded before the process ends.
    with stop_on_signals(partial(submissions.stop_then, stopped.set), end_by_signal) as received:
        await server.run_stdio_async(stopped, leave)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 <= float(text) <= 3600:
            return float(text)
    raise argparse.ArgumentTypeError("must be a number from 0 to 3600")
