"""Possible problems with an installation: each fault sets up a home for doctor to find it in."""

import json
import ssl
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import trustme

from layer_mcp.sandbox import Fault, SandboxState, running_sandbox

from .doctor_home import (
    TOKEN,
    DoctorHome,
    doctor_home,
    sandbox_home,
    sandbox_state,
    write_client_config,
)
from .doctor_journal import FILE_NAME, SCHEMA_VERSION, add_run, create_journal
from .hosts import SCRIPT
from .raw_servers import EMPTY_LIST, http_answer, raw_server
from .stub_layer import Reply, stub_layer

Home = Generator[DoctorHome]
OUTSIDE = "https://layer.test/api"
# A privileged port on which nothing listens.
CLOSED_ADDRESS = "127.0.0.1:1"


@dataclass(frozen=True)
class ExpectedResult:
    """The check that reports a fault, its state, and parts of its fact and its fix."""

    check: str
    state: str
    fact: str
    fix: str = ""


@dataclass(frozen=True)
class DoctorFault:
    make_home: Callable[[Path], AbstractContextManager[DoctorHome]]
    expected: ExpectedResult


FAULTS: dict[str, DoctorFault] = {}


def fault(
    name: str, check: str, state: str, fact: str, fix: str = ""
) -> Callable[[Callable[[Path], Home]], Callable[[Path], Home]]:
    """Add a fault to `FAULTS`: a function that sets it up, and the result that it causes."""

    def add(make: Callable[[Path], Home]) -> Callable[[Path], Home]:
        FAULTS[name] = DoctorFault(contextmanager(make), ExpectedResult(check, state, fact, fix))
        return make

    return add


def healthy_home(folder: Path, state: SandboxState | None = None, **environment: str) -> Home:
    """Yield a home in which everything works except for the given changes."""
    with running_sandbox(state or sandbox_state()) as sandbox:
        yield sandbox_home(sandbox, folder, **environment)


@fault("no token", "token", "failed", "none is set", "layer-mcp login")
def _no_token(folder: Path) -> Home:
    yield from healthy_home(folder, LAYER_API_KEY="")


@fault("wrong token", "token_accepted", "failed", "rejected the token", "Create a new")
def _wrong_token(folder: Path) -> Home:
    yield from healthy_home(folder, sandbox_state(token="another-token"))


@fault("rejection that repeats the token", "token_accepted", "failed", "rejected the token")
def _echo(folder: Path) -> Home:
    detail = f"The token {TOKEN[:12]}... (of {TOKEN}) is not known."
    problem = {"type": "https://layer.test/UNAUTHENTICATED", "detail": detail}
    with stub_layer() as stub:
        stub.answers["/workspaces"] = Reply(problem, 401)
        yield doctor_home(folder, stub.address)


@fault("token of another service", "token", "failed", "an Anthropic key", "Personal Access")
def _foreign_token(folder: Path) -> Home:
    yield from healthy_home(folder, LAYER_API_KEY=f"sk-ant-{TOKEN}")


@fault("token of two words", "settings", "failed", "LAYER_TOKEN must be one word", "Fix")
def _two_words(folder: Path) -> Home:
    yield from healthy_home(folder, LAYER_API_KEY=f"{TOKEN} {TOKEN}")


@fault("invalid setting", "settings", "failed", "LAYER_MAX_PRICE must be", "Fix")
def _setting(folder: Path) -> Home:
    yield from healthy_home(folder, LAYER_MAX_PRICE="cheap")


@fault("mistyped setting", "settings", "warning", "LAYER_OUTPUT_DIRS", "LAYER_OUTPUT_DIR instead")
def _mistyped(folder: Path) -> Home:
    yield from healthy_home(folder, LAYER_OUTPUT_DIRS=str(folder))


@fault("API that is down", "api", "failed", "refuses connections", "LAYER_API_URL")
def _down(folder: Path) -> Home:
    yield doctor_home(folder, f"http://{CLOSED_ADDRESS}/api")


@fault("unknown host name", "api", "failed", "the name layer.test isn't", "HTTPS_PROXY")
def _unknown_name(folder: Path) -> Home:
    yield doctor_home(folder, OUTSIDE, HTTPS_PROXY="")


@fault("web page with status 502", "api", "failed", "web page", "sign-in page")
def _bad_gateway(folder: Path) -> Home:
    state = sandbox_state()
    state.knobs.fail_next("list_workspaces", *[Fault("html", status=502)] * 9)
    yield from healthy_home(folder, state)


@fault("web page with status 200", "api", "failed", "isn't Layer", "LAYER_API_URL")
def _web_page(folder: Path) -> Home:
    state = sandbox_state()
    state.knobs.fail_next("list_workspaces", *[Fault("html", status=200)] * 9)
    yield from healthy_home(folder, state)


@fault("redirect", "api", "failed", "redirects (HTTP 302)", "LAYER_API_URL")
def _redirect(folder: Path) -> Home:
    location = f"Location: https://sign-in.test/?token={TOKEN}"
    with raw_server(http_answer("302 Found", b"", location)) as api:
        yield doctor_home(folder, f"http://127.0.0.1:{api.port}/api")


@fault("wrong API path", "api", "failed", "nothing at this URL", "LAYER_API_URL")
def _other_address(folder: Path) -> Home:
    with stub_layer() as stub:
        yield doctor_home(folder, stub.address)


@fault("API that never answers", "api", "failed", "didn't respond in time", "again in a minute")
def _silent(folder: Path) -> Home:
    state = sandbox_state()
    state.knobs.fail_next("list_workspaces", *[Fault("slow", delay_seconds=60)] * 9)
    yield from healthy_home(folder, state)


@fault("API that answers late", "api", "warning", "responds in", "Calls may time out")
def _late(folder: Path) -> Home:
    state = sandbox_state()
    state.knobs.fail_next("list_workspaces", Fault("slow", delay_seconds=2.2))
    yield from healthy_home(folder, state)


@fault("API with an internal error", "token_accepted", "failed", "internal error", "Wait a minute")
def _breaks(folder: Path) -> Home:
    # The request without a token is refused before there's a fault.
    with stub_layer() as stub:
        problem = {"type": "x/UNAUTHENTICATED"}
        stub.answers["/workspaces"] = lambda question: (
            Reply({"detail": f"{TOKEN}"}, 500)
            if "authorization" in question.headers
            else Reply(problem, 401)
        )
        yield doctor_home(folder, stub.address)


@fault("untrusted certificate", "api", "failed", "doesn't trust the API's", "SSL_CERT_FILE")
def _untrusted(folder: Path) -> Home:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    with raw_server(http_answer("200 OK", EMPTY_LIST), context) as api:
        yield doctor_home(folder, f"https://localhost:{api.port}/api")


@fault("missing certificate file", "certificates", "failed", "No such file", "SSL_CERT_FILE")
def _no_authority(folder: Path) -> Home:
    yield doctor_home(folder, OUTSIDE, HTTPS_PROXY="", SSL_CERT_FILE=str(folder / "ca.pem"))


@fault(
    "certificate file without a certificate", "certificates", "failed", "no certificate can be read"
)
def _no_pem(folder: Path) -> Home:
    (folder / "ca.pem").write_text("nothing")
    yield doctor_home(folder, OUTSIDE, HTTPS_PROXY="", SSL_CERT_FILE=str(folder / "ca.pem"))


@fault("missing certificate file without HTTPS", "certificates", "warning", "No such file")
def _unused_authority(folder: Path) -> Home:
    yield from healthy_home(folder, SSL_CERT_FILE=str(folder / "ca.pem"))


@fault("missing certificate folder", "certificates", "warning", "no such folder")
def _no_authorities(folder: Path) -> Home:
    yield from healthy_home(folder, SSL_CERT_DIR=str(folder / "ca"))


@fault(
    "proxy that is down",
    "proxy",
    "failed",
    f"http://{CLOSED_ADDRESS}, from HTTPS_PROXY",
    "NO_PROXY",
)
def _no_proxy(folder: Path) -> Home:
    home = doctor_home(folder, OUTSIDE)
    proxy = home.environment["HTTPS_PROXY"].replace("127.0.0.1:9", CLOSED_ADDRESS)
    yield doctor_home(folder, OUTSIDE, HTTPS_PROXY=proxy)


@fault("proxy with an invalid address", "proxy", "failed", "HTTPS_PROXY isn't the URL", "such as")
def _odd_proxy(folder: Path) -> Home:
    home = doctor_home(folder, OUTSIDE)
    yield doctor_home(folder, OUTSIDE, HTTPS_PROXY=home.environment["HTTPS_PROXY"] + "000000")


@fault("proxy that rejects the password", "api", "failed", "Couldn't connect", "user name")
def _strict_proxy(folder: Path) -> Home:
    with raw_server(http_answer("407 Proxy Authentication Required")) as proxy:
        home = doctor_home(folder, OUTSIDE)
        address = home.environment["HTTPS_PROXY"].replace(":9", f":{proxy.port}")
        yield doctor_home(folder, OUTSIDE, HTTPS_PROXY=address)


@fault("clock that is an hour behind", "clock", "warning", "60 minutes behind", "time server")
def _late_clock(folder: Path) -> Home:
    yield from _at(folder, timedelta(hours=1))


@fault("clock that is a week ahead", "clock", "warning", "7 days ahead of", "time server")
def _early_clock(folder: Path) -> Home:
    yield from _at(folder, timedelta(days=-7))


def _at(folder: Path, offset: timedelta) -> Home:
    date = format_datetime(datetime.now(UTC) + offset, usegmt=True)
    workspace = {"workspace_id": "w", "name": "W", "balance_creative_units": 5}
    answer = json.dumps({"workspaces": [workspace]}).encode()
    with raw_server(http_answer("200 OK", answer, f"Date: {date}")) as api:
        yield doctor_home(folder, f"http://127.0.0.1:{api.port}/api")


@fault("unknown workspace", "workspace", "failed", "No workspace", "LAYER_WORKSPACE_ID")
def _unknown_workspace(folder: Path) -> Home:
    yield from healthy_home(folder, LAYER_WORKSPACE="elsewhere")


@fault("several workspaces", "workspace", "warning", "none is chosen", "LAYER_WORKSPACE_ID")
def _several_workspaces(folder: Path) -> Home:
    yield from healthy_home(folder, sandbox_state(5, 5))


@fault("no workspace", "workspace", "failed", "no workspace", "Create a workspace")
def _no_workspace(folder: Path) -> Home:
    with raw_server(http_answer("200 OK", EMPTY_LIST)) as api:
        yield doctor_home(folder, f"http://127.0.0.1:{api.port}/api")


@fault("no balance", "balance", "failed", "0 CU", "Add Creative Units")
def _no_balance(folder: Path) -> Home:
    yield from healthy_home(folder, sandbox_state(0))


@fault("file as output folder", "output_folder", "failed", "Not a directory", "LAYER_OUTPUT")
def _file_for_outputs(folder: Path) -> Home:
    (folder / "out").touch()
    yield from healthy_home(folder, LAYER_OUTPUT_DIR=str(folder / "out"))


@fault("output folder on a read-only disk", "output_folder", "failed", "can't be created in /proc")
def _no_outputs(folder: Path) -> Home:
    yield from healthy_home(folder, LAYER_OUTPUT_DIR="/proc/layer")


@fault("journal in the output folder", "output_folder", "failed", "the journal's folder")
def _state_for_outputs(folder: Path) -> Home:
    (folder / "both").mkdir()
    both = str(folder / "both")
    yield from healthy_home(folder, LAYER_OUTPUT_DIR=both, LAYER_STATE_DIR=both)


@fault("missing output folder", "output_folder", "warning", "created when something")
def _new_outputs(folder: Path) -> Home:
    yield from healthy_home(folder, LAYER_OUTPUT_DIR=str(folder / "new" / "out"))


@fault("missing input folder", "input_folders", "failed", "/gone: No such file", "INPUT_DIRS")
def _no_inputs(folder: Path) -> Home:
    yield from healthy_home(folder, LAYER_INPUT_DIRS=f"{folder}:{folder}/gone")


@fault("file as state folder", "journal", "failed", "Not a directory", "LAYER_STATE_DIR")
def _file_for_state(folder: Path) -> Home:
    (folder / "state").touch()
    yield from healthy_home(folder, LAYER_STATE_DIR=str(folder / "state"))


@fault("state folder on a read-only disk", "journal", "failed", "/proc", "LAYER_STATE_DIR")
def _no_state(folder: Path) -> Home:
    yield from healthy_home(folder, LAYER_STATE_DIR="/proc/layer")


@fault("optional journal on a read-only disk", "journal", "warning", "/proc", "LAYER_STATE_DIR")
def _optional_journal(folder: Path) -> Home:
    yield from healthy_home(folder, LAYER_STATE_DIR="/proc/layer", LAYER_JOURNAL="optional")


@fault("journal that is not a database", "journal", "failed", "not a database", "Move")
def _no_database(folder: Path) -> Home:
    (folder / FILE_NAME).write_bytes(b"nothing of SQLite's" * 1000)
    yield from healthy_home(folder, LAYER_STATE_DIR=str(folder))


@fault("damaged journal", "journal", "failed", "damaged", "Move")
def _damaged_journal(folder: Path) -> Home:
    create_journal(folder).close()
    raw = bytearray((folder / FILE_NAME).read_bytes())
    raw[4096 * 2 : 4096 * 3] = b"\xff" * 4096
    (folder / FILE_NAME).write_bytes(raw)
    yield from healthy_home(folder, LAYER_STATE_DIR=str(folder))


@fault("journal of a newer version", "journal", "failed", "newer layer-mcp", "Install the newest")
def _newer_journal(folder: Path) -> Home:
    with closing(create_journal(folder)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    yield from healthy_home(folder, LAYER_STATE_DIR=str(folder))


@fault("locked journal", "journal", "failed", "another program has it open", "Close the program")
def _held_journal(folder: Path) -> Home:
    with closing(create_journal(folder)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield from healthy_home(folder, LAYER_STATE_DIR=str(folder))


@fault("runs with an unknown outcome", "journal", "warning", "2 runs have an unknown", "list_runs")
def _unknown_runs(folder: Path) -> Home:
    with running_sandbox(sandbox_state()) as sandbox:
        with closing(create_journal(folder)) as database:
            for delivery in ("unknown", "sending", "confirmed"):
                add_run(database, sandbox.api_url, delivery)
            add_run(database, "https://another.test", "unknown")
        yield sandbox_home(sandbox, folder, LAYER_STATE_DIR=str(folder))


@fault(
    "client with a missing command", "client.cursor", "failed", "/gone/layer-mcp", "layer-mcp inst"
)
def _missing_command(folder: Path) -> Home:
    write_client_config(folder, ".cursor/mcp.json", "mcpServers", {"command": "/gone/layer-mcp"})
    yield from healthy_home(folder)


@fault(
    "client with a command without its path",
    "client.vscode",
    "warning",
    "layer-mcp, without",
    "full path",
)
def _bare_command(folder: Path) -> Home:
    write_client_config(folder, ".config/Code/User/mcp.json", "servers", {"command": "layer-mcp"})
    yield from healthy_home(folder, PATH=str(Path(SCRIPT).parent))


@fault("client with a syntax error", "client.cursor", "failed", "invalid JSON at line 2", "Fix")
def _client_syntax(folder: Path) -> Home:
    path = folder / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(f'{{"mcpServers": {{"layer": {{"command": "layer-mcp",\n"{TOKEN} }}')
    yield from healthy_home(folder)


@fault("other client with a syntax error", "client.codex", "warning", "invalid TOML at line 1")
def _other_syntax(folder: Path) -> Home:
    path = folder / ".codex" / "config.toml"
    path.parent.mkdir()
    path.write_text(f"model = {TOKEN}")
    yield from healthy_home(folder)
