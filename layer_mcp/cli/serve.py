"""layer-mcp serve and sandbox: the MCP server on stdio or HTTP, and a simulated Layer."""

import argparse
import dataclasses
import errno
import gc
import os
import signal
import socket
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
from .parser import EXIT_OK, CommandParser, add_port, add_sandbox_flag
from .screen.output import log_to_stderr

if TYPE_CHECKING:
    from ..runs.activity import Submissions
    from ..sandbox import RunningSandbox, SandboxState
    from ..server.app import LayerServer
    from ..server.http.settings import HttpSettings

DEFAULT_PORT = 8750
TERMINAL_HINT = """\
layer-mcp is waiting for an MCP client on stdin. To see it work, run layer-mcp demo.
To list the commands, run layer-mcp help. To stop it, press Ctrl+C."""
# In the sandbox's state folder, next to the journal: what the simulated Layer remembers.
SIMULATED_FOLDER = "layer"
CLIENT_HAS_LEFT = "layer-mcp: the client closed the connection"


def serve_by_default(top: CommandParser) -> None:
    """Make a command line without a command start the server on stdio."""
    add_sandbox_flag(top, default=False)
    add_toolsets(top, default=None)
    top.set_defaults(run=serve, http=False, input_dir=())


def add_servers(add_command: Callable[..., CommandParser]) -> None:
    """Add the commands serve and sandbox."""
    command = add_command(
        "serve",
        help="run the MCP server over stdio or HTTP",
        examples=["layer-mcp serve --http", "layer-mcp serve --http --port 9000 --sandbox"],
    )
    command.add_argument("--http", action="store_true", help="Streamable HTTP instead of stdio")
    add_port(command, DEFAULT_PORT)
    _add_team_options(command)
    add_sandbox_flag(command)
    add_toolsets(command)
    command.add_argument(
        "--input-dir",
        nargs="*",
        action="extend",
        default=[],
        metavar="DIR",
        help="folder whose files can be uploaded; can be repeated (LAYER_INPUT_DIRS)",
    )
    command.set_defaults(run=serve)

    command = add_command(
        "sandbox",
        help="run a simulated Layer on this machine",
        examples=["layer-mcp sandbox", "layer-mcp sandbox --port 0 --run-seconds 1"],
    )
    add_port(command, DEFAULT_PORT + 1)
    command.add_argument(
        "--run-seconds", type=_seconds, metavar="S", help="seconds that a run takes"
    )
    command.set_defaults(run=serve_sandbox)


def _add_team_options(command: CommandParser) -> None:
    """Add the options of a server that others can reach; each one overrides its setting."""

    def add(name: str, metavar: str, help_text: str) -> None:
        command.add_argument(name, metavar=metavar, help=help_text)

    add("--host", "HOST", "address to listen on (127.0.0.1; LAYER_HTTP_HOST)")
    add("--public-url", "URL", "address that clients use (LAYER_PUBLIC_URL)")
    add("--tokens-file", "FILE", "tokens that callers may use (LAYER_TOKENS_FILE)")
    add("--oauth-issuer", "URL", "issuer of callers' access tokens (LAYER_OAUTH_ISSUER)")
    add("--oauth-audience", "TEXT", "audience of access tokens (LAYER_OAUTH_AUDIENCE)")
    add("--payer", "WHO", "server, or caller for each caller's own Layer key (LAYER_PAYER)")
    add("--metrics-port", "N", "port of /metrics, for Prometheus (LAYER_METRICS_PORT)")
    command.add_argument(
        "--trust-proxy",
        action="store_const",
        const=1,
        help="believe X-Forwarded-For (LAYER_TRUST_PROXY)",
    )
    command.add_argument(
        "--insecure-no-auth",
        action="store_true",
        help="let everybody who can reach the server spend",
    )


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
        input_dirs=_given_folders(options.input_dir) or settings.input_dirs,
    )
    http = _http_settings(options) if options.http else None
    log_to_stderr(settings.log_level)
    with own_sandbox(settings) as effective:
        _check_database(effective)
        submissions = Submissions()
        notes = _sandbox_notes(effective)
        server = create_server(effective, notes=notes, submissions=submissions, http=http)
        if http is not None:
            from ..server.http.serve import serve_http  # noqa: PLC0415

            with _explain_listening(http, options.port):
                number = serve_http(server, http, options.port, submissions)
            # Supervisors expect exit code 0 from a server that they asked to stop.
            if number not in (None, signal.SIGTERM):
                raise Interrupted(number)
            return EXIT_OK
        _serve_stdio(server, submissions)
    return EXIT_OK


def _check_database(settings: Settings) -> None:
    """Open a shared database once, because uvicorn would show its error as a traceback.

    Raises:
        SettingsError: the database rejects the settings.
    """
    if settings.database_url is None:
        return
    import anyio  # noqa: PLC0415

    from ..runs.opening import open_shared  # noqa: PLC0415

    async def check() -> None:
        async with open_shared(settings):
            pass

    anyio.run(check)


def _http_settings(options: argparse.Namespace) -> "HttpSettings":
    """Return the settings of the HTTP server; an option overrides its variable.

    Raises:
        SettingsError: A value is invalid, or strangers could spend.
    """
    from ..server.http.settings import HttpSettings, check_http_settings  # noqa: PLC0415

    names = {
        "host": "LAYER_HTTP_HOST",
        "public_url": "LAYER_PUBLIC_URL",
        "tokens_file": "LAYER_TOKENS_FILE",
        "oauth_issuer": "LAYER_OAUTH_ISSUER",
        "oauth_audience": "LAYER_OAUTH_AUDIENCE",
        "payer": "LAYER_PAYER",
        "metrics_port": "LAYER_METRICS_PORT",
        "trust_proxy": "LAYER_TRUST_PROXY",
    }
    given = {names[option]: getattr(options, option) for option in names}
    chosen = {name: str(value) for name, value in given.items() if value is not None}
    http = HttpSettings.from_env({**os.environ, **chosen})
    http = dataclasses.replace(http, is_insecure=options.insecure_no_auth)
    check_http_settings(http)
    return http


def serve_sandbox(options: argparse.Namespace) -> int:
    """Serve a simulated Layer until it's interrupted.

    Raises:
        SettingsError: the port is taken, or LAYER_STATE_DIR is invalid.
    """
    from ..sandbox import running_sandbox  # noqa: PLC0415

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    state = _remembering_state(Settings.from_env())
    if options.run_seconds is not None:
        state.knobs.run_seconds = options.run_seconds
    with (
        suppress(KeyboardInterrupt),
        _explain_taken_port(options.port),
        running_sandbox(state, port=options.port) as running,
    ):
        _print_sandbox(running)
        while True:
            time.sleep(3600)
    return EXIT_OK


def _print_sandbox(running: "RunningSandbox") -> None:
    variables = {
        "LAYER_SANDBOX": "1",
        "LAYER_API_URL": running.api_url,
        "LAYER_API_KEY": running.token,
        "LAYER_WORKSPACE_ID": running.workspace_id,
    }
    print("A simulated Layer is running. Nothing is charged.")
    print("To use it, paste these lines into another terminal:")
    for name, value in variables.items():
        print(f"export {name}={value}")
    print("Or, in PowerShell:")
    for name, value in variables.items():
        print(f'$env:{name} = "{value}"')
    print("Models:")
    for model in running.state.models:
        print(f"  {model.model_id}  {model.name} ({model.modality})")
    print("Stop it with Ctrl+C.", flush=True)


@contextmanager
def own_sandbox(settings: Settings) -> Generator[Settings]:
    """Start a sandbox if the settings ask for one without naming its address.

    Yields the settings for it, or the given settings if no sandbox is needed.
    """
    if not settings.sandbox or is_loopback(settings.api_url):
        yield settings
        return
    from ..sandbox import running_sandbox  # noqa: PLC0415

    with running_sandbox(_remembering_state(settings)) as running:
        yield dataclasses.replace(
            settings,
            api_url=running.api_url,
            api_token=running.token,
            workspace=running.workspace_id,
        )


def _remembering_state(settings: Settings) -> "SandboxState":
    """Return the state of a sandbox whose runs outlive the process."""
    from ..files.paths import state_folder  # noqa: PLC0415
    from ..sandbox import SandboxState  # noqa: PLC0415

    try:
        folder = state_folder(dataclasses.replace(settings, sandbox=True)) / SIMULATED_FOLDER
    except RuntimeError:
        folder = None
    return SandboxState(folder=folder)


@contextmanager
def _explain_taken_port(port: int) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise SettingsError(
            f"Port {port} is already in use. Choose another with --port, such as --port 0 for any "
            "free port."
        ) from None


@contextmanager
def _explain_listening(http: "HttpSettings", port: int) -> Generator[None]:
    """Report in one sentence why the server can't listen where it should.

    Raises:
        SettingsError: A port is in use or reserved, or this machine has no such address.
    """
    ports = f"Port {port}" if http.metrics_port is None else f"Port {port} or {http.metrics_port}"
    try:
        yield
    except socket.gaierror:
        raise SettingsError(f"--host {http.host} is neither an address nor a known name.") from None
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                problem = f"{ports} is already in use. Choose another with --port, such as --port 0"
                raise SettingsError(f"{problem} for any free port.") from None
            case errno.EADDRNOTAVAIL:
                problem = f"This machine doesn't have the address {http.host}. Choose another with"
                raise SettingsError(f"{problem} --host, such as 0.0.0.0 for all.") from None
            case errno.EACCES | errno.EPERM:
                problem = f"{ports} is reserved for administrators. Choose one above 1023"
                raise SettingsError(f"{problem} with --port.") from None
            case _:
                raise


def _import_create_server() -> "Callable[..., LayerServer]":
    """Import the server here, because `--version` doesn't need it.

    Garbage collection would take a tenth of the startup time and find nothing, so it's turned off.
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
    return tuple(parse_folder("--input-dir", text) for text in arguments if is_given(text))


def _sandbox_notes(settings: Settings) -> str:
    if not settings.sandbox:
        return ""
    from ..sandbox.catalog import models_in_words, sandbox_models  # noqa: PLC0415

    models = models_in_words(sandbox_models())
    return f"This is a sandbox: runs are simulated and free. Models: {models}.\n"


def _serve_stdio(server: "LayerServer", submissions: "Submissions") -> None:
    if sys.stdin is None or sys.stdout is None:
        raise SettingsError("stdin and stdout must be open, because the client uses them.")
    import anyio  # noqa: PLC0415

    if sys.stdin.isatty():
        print(TERMINAL_HINT, file=sys.stderr)
    try:
        anyio.run(_run_stdio, server, submissions)
    except* BrokenPipeError:
        print(CLIENT_HAS_LEFT, file=sys.stderr)


async def _run_stdio(server: "LayerServer", submissions: "Submissions") -> None:
    import anyio  # noqa: PLC0415

    stopped = anyio.Event()

    def leave() -> None:
        if received.number is not None:
            end_by_signal(received.number)
        # The host may have closed stderr too.
        with suppress(OSError):
            print(CLIENT_HAS_LEFT, file=sys.stderr, flush=True)
        os._exit(EXIT_OK)

    # A request that was sent is paid for, so its response is recorded before the process ends.
    with stop_on_signals(partial(submissions.stop_then, stopped.set), end_by_signal) as received:
        await server.run_stdio_async(stopped, leave)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 <= float(text) <= 3600:
            return float(text)
    raise argparse.ArgumentTypeError("must be a number from 0 to 3600")
