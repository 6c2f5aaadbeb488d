"""layer-mcp install and uninstall as a person runs them, in a temporary home folder."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from layer_mcp.clients.catalog import find_client
from layer_mcp.sandbox import RunningSandbox

from ..support.client_home import CLIENT_IDS, ClientHome, make_keyring_home
from ..support.hosts import SCRIPT, content_of

pytestmark = pytest.mark.process

BARE = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def home(tmp_path: Path) -> ClientHome:
    """A home with a space and non-ASCII letters in its path, without a keyring."""
    folder = tmp_path / "Jörg Müller"
    folder.mkdir()
    return ClientHome(folder)


@pytest.fixture
def keyring_home(tmp_path: Path, sandbox: RunningSandbox) -> ClientHome:
    return make_keyring_home(tmp_path, sandbox.api_url)


def server_of(home: ClientHome, client: str, **more: str) -> StdioServerParameters:
    """Return the server as the client starts it, from the root and with a bare environment."""
    entry = home.entry(client)
    return StdioServerParameters(
        command=entry["cmd" if client == "goose" else "command"],
        args=entry["args"],
        env=BARE | more | entry[find_client(client).env_key],
        cwd="/",
    )


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENT_IDS)
def test_a_client_starts_the_server_from_its_entry_with_a_bare_environment(
    home: ClientHome, client: str
) -> None:
    home.run_ok("install", client, "--sandbox")

    async def tools() -> list[str]:
        async with Client(server_of(home, client), mode="legacy") as connected:
            return [tool.name for tool in (await connected.list_tools()).tools]

    assert "execute_inference" in anyio.run(tools)
    home.run_ok("uninstall", client)
    assert not home.file(client).exists()


def test_installing_again_changes_nothing(home: ClientHome) -> None:
    home.run_ok("install", "cursor", "--sandbox")
    first = home.file("cursor").read_bytes()
    assert "already installed" in home.run_ok("install", "cursor", "--sandbox")
    assert home.file("cursor").read_bytes() == first


def test_uninstalling_again_succeeds(home: ClientHome) -> None:
    home.run_ok("install", "cursor", "--sandbox")
    home.run_ok("uninstall", "cursor")
    assert "there is no entry layer" in home.run_ok("uninstall", "cursor")


@pytest.mark.slow
def test_uninstalling_names_a_backup_that_it_keeps(home: ClientHome) -> None:
    file = home.file("cursor")
    file.parent.mkdir()
    file.write_text("{}")
    home.run_ok("install", "cursor", "--sandbox")
    file.write_text(file.read_text().replace("}\n}", '},\n  "a": 1\n}'))
    assert f"{file}.layer-mcp-backup" in home.run_ok("uninstall", "cursor")
    assert json.loads(file.read_text()) == {"mcpServers": {}, "a": 1}


def test_options_and_another_name_are_written_into_the_entry(home: ClientHome) -> None:
    options = ["--workspace", "team", "--output-dir", "out", "--input-dir", "a", "--input-dir", "b"]
    limits = ["--confirm-above", "0"]
    home.run_ok("install", "zed", "--name", "art", *options, *limits, LAYER_API_KEY="pat_1")
    assert home.entry("zed", "art")["env"] == {
        "LAYER_WORKSPACE_ID": "team",
        "LAYER_OUTPUT_DIR": str(home.folder / "out"),
        "LAYER_INPUT_DIRS": f"{home.folder / 'a'}{os.pathsep}{home.folder / 'b'}",
        "LAYER_CONFIRM_ABOVE": "0",
        "LAYER_API_KEY": "pat_1",
    }


@pytest.mark.slow
def test_replacing_a_sandbox_entry_says_that_runs_are_charged(home: ClientHome) -> None:
    home.run_ok("install", "cursor", "--sandbox")
    assert "charged" in home.run_ok("install", "cursor", LAYER_API_KEY="pat_1")
    assert "charged" not in home.run_ok("install", "cursor", LAYER_API_KEY="pat_2")


def test_toolsets_are_written_into_the_entry(home: ClientHome) -> None:
    home.run_ok("install", "cursor", "--sandbox", "--toolsets", "models")
    assert home.entry("cursor")["env"]["LAYER_TOOLSETS"] == "models"


def test_installs_into_another_file(home: ClientHome) -> None:
    home.run_ok("install", "claude-code", "--sandbox", "--file", ".mcp.json")
    assert "layer" in json.loads((home.folder / ".mcp.json").read_text())["mcpServers"]


def test_a_dry_run_shows_a_diff_and_writes_nothing(home: ClientHome) -> None:
    shown = home.run_ok("install", "cursor", "--dry-run", LAYER_API_KEY="pat_hush_hush")
    assert f"+++ {home.file('cursor')}" in shown
    assert SCRIPT in shown
    assert "hush" not in shown
    assert list(home.folder.iterdir()) == []


def test_a_dry_run_without_a_token_says_that_one_is_needed(home: ClientHome) -> None:
    assert "no token yet" in home.run("install", "cursor", "--dry-run").stderr


def test_a_dry_run_stores_no_token(keyring_home: ClientHome) -> None:
    keyring_home.run_ok("install", "cursor", "--dry-run", LAYER_API_KEY="pat_1")
    assert keyring_home.keyring_content() == {}


def test_a_token_is_stored_in_the_keyring_where_the_server_finds_it(
    keyring_home: ClientHome, sandbox: RunningSandbox
) -> None:
    printed = keyring_home.run_ok("install", "codex", LAYER_API_KEY=sandbox.token)
    assert "stored in Test keyring" in printed
    assert sandbox.token not in keyring_home.file("codex").read_text()
    server = server_of(keyring_home, "codex", **keyring_home.environment())

    async def workspaces() -> dict[str, Any]:
        async with Client(server) as client:
            return content_of(await client.call_tool("list_workspaces", {}))

    assert anyio.run(workspaces)["workspaces"][0]["name"] == "Sandbox"


@pytest.mark.slow
def test_installing_uses_a_stored_token(keyring_home: ClientHome, sandbox: RunningSandbox) -> None:
    keyring_home.run_ok("login", piped=sandbox.token)
    assert "The token is in Test keyring" in keyring_home.run_ok("install", "cursor")


@pytest.mark.parametrize(
    ("mode", "readers"),
    [(None, "Every program you run"), (0o640, "Your group"), (0o644, "Every user")],
)
def test_without_a_keyring_the_token_is_written_into_the_file_with_a_warning(
    home: ClientHome, mode: int | None, readers: str
) -> None:
    if mode is not None:
        home.file("cursor").parent.mkdir()
        home.file("cursor").write_text("{}")
        home.file("cursor").chmod(mode)
    printed = home.run_ok("install", "cursor", LAYER_API_KEY="pat_1")
    assert "Warning" in printed
    assert readers in printed
    assert home.entry("cursor")["env"] == {"LAYER_API_KEY": "pat_1"}


def test_installing_again_keeps_the_token_in_the_entry(home: ClientHome) -> None:
    home.run_ok("install", "cursor", LAYER_API_KEY="pat_1")
    assert "already installed" in home.run_ok("install", "cursor")


@pytest.mark.slow
def test_installing_again_with_a_keyring_removes_the_token_from_the_file(
    home: ClientHome, keyring_home: ClientHome
) -> None:
    home.run_ok("install", "cursor", LAYER_API_KEY="pat_1")
    there = ClientHome(home.folder, keyring_home.keyring)
    assert "updated" in there.run_ok("install", "cursor")
    assert "pat_1" not in home.file("cursor").read_text()


@pytest.mark.parametrize("token", ["sk-hush", "https://layer.ai/hush", "ghp_hush"])
def test_rejects_a_token_of_another_service_and_writes_nothing(
    home: ClientHome, token: str
) -> None:
    said = home.run_failing("install", "cursor", LAYER_API_KEY=token)
    assert "Nothing was changed" in said
    assert "hush" not in said
    assert list(home.folder.iterdir()) == []


def test_without_a_token_and_a_terminal_it_says_how_to_give_one(home: ClientHome) -> None:
    said = home.run_failing("install", "cursor")
    assert all(way in said for way in ("layer-mcp login", "LAYER_API_KEY", "--sandbox"))
    assert list(home.folder.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX terminals")
def test_at_a_terminal_it_asks_for_the_token_without_echo(home: ClientHome) -> None:
    shown = _answer(home, "hidden): ", " pat_hush", "install", "cursor")
    assert "hush" not in shown
    assert home.entry("cursor")["env"] == {"LAYER_API_KEY": "pat_hush"}


HOSTED = {
    "url": "https://mcp.app.layer.ai/mcp",
    "headers": {"Authorization": "Bearer pat_hush_hush"},
}


def write_hosted(home: ClientHome) -> str:
    """Write the entry that Layer documents for its hosted server, and return the file's text."""
    text = json.dumps({"mcpServers": {"layer": HOSTED}}, indent=2)
    home.file("cursor").parent.mkdir()
    home.file("cursor").write_text(text)
    return text


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_another_programs_entry_of_the_same_name_is_not_touched(
    home: ClientHome, command: str
) -> None:
    text = write_hosted(home)
    options = ["--sandbox"] if command == "install" else []
    said = home.run_failing(command, "cursor", *options)
    assert "a server at mcp.app.layer.ai" in said
    assert "--name" in said
    assert "hush" not in said
    assert home.file("cursor").read_text() == text


def test_another_name_adds_an_entry_next_to_it(home: ClientHome) -> None:
    write_hosted(home)
    home.run_ok("install", "cursor", "--sandbox", "--name", "layer-local")
    assert home.entry("cursor") == HOSTED
    assert home.entry("cursor", "layer-local")["env"] == {"LAYER_SANDBOX": "1"}


@pytest.mark.slow
def test_replacing_another_programs_entry_saves_a_backup_that_uninstall_restores(
    home: ClientHome,
) -> None:
    text = write_hosted(home)
    shown = home.run_ok("install", "cursor", "--sandbox", "--replace", "--dry-run")
    assert "hush" not in shown
    printed = home.run_ok("install", "cursor", "--sandbox", "--replace")
    assert "replaced the entry layer" in printed
    assert f"{home.file('cursor')}.layer-mcp-backup" in printed
    assert set(home.entry("cursor")) == {"type", "command", "args", "env"}
    home.run_ok("uninstall", "cursor")
    assert home.file("cursor").read_text() == text


@pytest.mark.skipif(os.name == "nt", reason="POSIX terminals")
@pytest.mark.parametrize(("answer", "is_replaced"), [("y", True), ("", False)])
def test_at_a_terminal_it_asks_before_it_replaces_another_programs_entry(
    home: ClientHome, answer: str, is_replaced: bool
) -> None:
    write_hosted(home)
    shown = _answer(home, "[y/N] ", answer, "install", "cursor", "--sandbox")
    assert "for a server at mcp.app.layer.ai. Replace it?" in shown
    assert ("command" in home.entry("cursor")) is is_replaced


def _answer(home: ClientHome, question: str, answer: str, *arguments: str) -> str:
    """Run a command at a terminal, answer its question, and return what it shows."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [SCRIPT, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=home.environment(),
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = _read_until(ours, question)
        os.write(ours, f"{answer}\n".encode())
        shown += _read_until(ours, None)
        process.wait(60)
    os.close(ours)
    return shown


def _read_until(terminal: int, end: str | None) -> str:
    """Return what a terminal shows until these words, or until the program ends."""
    shown = ""
    while end is None or not shown.endswith(end):
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece.decode(errors="replace")
    return shown


def test_a_syntax_error_is_reported_before_a_token_is_stored(
    keyring_home: ClientHome,
) -> None:
    keyring_home.file("cursor").parent.mkdir()
    keyring_home.file("cursor").write_text('{\n  "a": 1\n  "b"\n}')
    said = keyring_home.run_failing("install", "cursor", LAYER_API_KEY="pat_1")
    assert "mcp.json, line 3, column 3" in said
    assert keyring_home.keyring_content() == {}


def test_a_read_only_folder_is_reported_before_a_token_is_stored(
    keyring_home: ClientHome,
) -> None:
    keyring_home.file("cursor").parent.mkdir(mode=0o555)
    assert "is read-only" in keyring_home.run_failing("install", "cursor", LAYER_API_KEY="pat_1")
    assert keyring_home.keyring_content() == {}


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_full_disk_leaves_the_folder_unchanged(
    home: ClientHome,
) -> None:
    file = home.file("cursor")
    file.parent.mkdir()
    file.write_text("{}")
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f 0; exec '{SCRIPT}' install cursor --sandbox 2>&1 | cat"],
        env=home.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "can't be written" in done.stdout
    assert [(one.name, one.read_text()) for one in file.parent.iterdir()] == [("mcp.json", "{}")]


@pytest.mark.parametrize("placeholder", ["${env:LAYER_API_KEY}", "your token", ""])
def test_a_placeholder_in_an_old_entry_is_not_used_as_a_token(
    home: ClientHome, placeholder: str
) -> None:
    home.file("cursor").parent.mkdir()
    entry = {"command": "/old/layer-mcp", "env": {"LAYER_API_KEY": placeholder}}
    home.file("cursor").write_text(json.dumps({"mcpServers": {"layer": entry}}))
    assert "There is no token" in home.run_failing("install", "cursor")


def test_takes_sandbox_before_the_command_too(home: ClientHome) -> None:
    home.run_ok("--sandbox", "install", "cursor")
    assert home.entry("cursor")["env"] == {"LAYER_SANDBOX": "1"}


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_an_unknown_client_is_exit_code_2_with_the_nearest_name(
    home: ClientHome, command: str
) -> None:
    done = home.run(command, "windsurfer")
    assert done.returncode == 2
    assert "Did you mean windsurf?" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["config", "install", "uninstall", "login", "logout"])
def test_no_command_takes_the_token_as_an_argument(home: ClientHome, command: str) -> None:
    shown = home.run_ok(command, "--help")
    assert "--token" not in shown
    assert len(shown.splitlines()) < 35


def test_an_option_that_the_server_would_refuse_is_exit_code_2(home: ClientHome) -> None:
    done = home.run("install", "cursor", "--sandbox", "--max-price", "much")
    assert done.returncode == 2
    assert "LAYER_MAX_PRICE" in done.stderr
