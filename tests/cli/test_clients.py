"""layer-mcp install and uninstall as a person runs them, in a home folder of their own."""

import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from mcp import Client, StdioServerParameters

from layer_mcp.clients.catalog import CLIENTS, client_of
from layer_mcp.clients.platforms import Platform
from layer_mcp.sandbox import RunningSandbox

from ..support.client_home import AttachHome
from ..support.hosts import SCRIPT, content_of

pytestmark = pytest.mark.process

READERS: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}
IDS = [client.id for client in CLIENTS]
BARE = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def home(tmp_path: Path) -> AttachHome:
    """A home with a blank and letters beyond ASCII in its name, without a keyring."""
    folder = tmp_path / "Jörg Müller"
    folder.mkdir()
    return AttachHome(folder)


@pytest.fixture
def keyring_home(tmp_path: Path, sandbox: RunningSandbox) -> AttachHome:
    """A home with a keyring, whose API is the sandbox."""
    folder = tmp_path / "home"
    folder.mkdir()
    return AttachHome(folder, tmp_path / "keyring.json", {"LAYER_API_URL": sandbox.api_url})


def file_of(home: AttachHome, client: str) -> Path:
    return client_of(client).file(Platform("linux", home.folder, {}))


def entry_of(home: AttachHome, client: str) -> dict[str, Any]:
    """Our entry as the client would read it."""
    row = client_of(client)
    data = READERS[row.format](file_of(home, client).read_text(encoding="utf-8"))
    return data[row.place[0]]["layer"]


def server_of(home: AttachHome, client: str, **more: str) -> StdioServerParameters:
    """The server as the client would start it, from the root and with a bare environment."""
    entry = entry_of(home, client)
    return StdioServerParameters(
        command=entry["cmd" if client == "goose" else "command"],
        args=entry["args"],
        env=BARE | more | entry[client_of(client).env_key],
        cwd="/",
    )


@pytest.mark.slow
@pytest.mark.parametrize("client", IDS)
def test_a_client_starts_the_server_from_its_entry_with_a_bare_environment(
    home: AttachHome, client: str
) -> None:
    home.done("install", client, "--sandbox")

    async def tools() -> list[str]:
        async with Client(server_of(home, client), mode="legacy") as connected:
            return [tool.name for tool in (await connected.list_tools()).tools]

    assert "execute_inference" in anyio.run(tools)
    home.done("uninstall", client)
    assert not file_of(home, client).exists()


def test_installing_twice_says_already_installed_and_changes_nothing(home: AttachHome) -> None:
    home.done("install", "cursor", "--sandbox")
    first = file_of(home, "cursor").read_bytes()
    assert "already installed" in home.done("install", "cursor", "--sandbox")
    assert file_of(home, "cursor").read_bytes() == first


def test_uninstalling_twice_is_no_failure(home: AttachHome) -> None:
    home.done("install", "cursor", "--sandbox")
    home.done("uninstall", "cursor")
    assert "there is no entry layer" in home.done("uninstall", "cursor")


def test_a_backup_that_stays_is_named(home: AttachHome) -> None:
    file = file_of(home, "cursor")
    file.parent.mkdir()
    file.write_text("{}")
    home.done("install", "cursor", "--sandbox")
    file.write_text(file.read_text().replace("}\n}", '},\n  "a": 1\n}'))
    assert f"{file}.layer-mcp-backup" in home.done("uninstall", "cursor")
    assert json.loads(file.read_text()) == {"mcpServers": {}, "a": 1}


def test_choices_and_another_name_stand_in_the_entry(home: AttachHome) -> None:
    choices = ["--workspace", "team", "--output-dir", "out", "--input-dir", "a", "--input-dir", "b"]
    limits = ["--confirm-above", "0"]
    home.done("install", "zed", "--name", "art", *choices, *limits, LAYER_API_KEY="pat_1")
    data = json.loads(file_of(home, "zed").read_text(encoding="utf-8"))
    assert data["context_servers"]["art"]["env"] == {
        "LAYER_WORKSPACE_ID": "team",
        "LAYER_OUTPUT_DIR": str(home.folder / "out"),
        "LAYER_INPUT_DIRS": f"{home.folder / 'a'}{os.pathsep}{home.folder / 'b'}",
        "LAYER_CONFIRM_ABOVE": "0",
        "LAYER_API_KEY": "pat_1",
    }


def test_an_entry_that_leaves_the_sandbox_says_that_runs_are_charged(home: AttachHome) -> None:
    home.done("install", "cursor", "--sandbox")
    assert "charged" in home.done("install", "cursor", LAYER_API_KEY="pat_1")
    assert "charged" not in home.done("install", "cursor", LAYER_API_KEY="pat_2")


def test_groups_of_tools_are_named_after_the_command(home: AttachHome) -> None:
    home.done("install", "cursor", "--sandbox", "--toolsets", "models")
    data = json.loads(file_of(home, "cursor").read_text(encoding="utf-8"))
    assert data["mcpServers"]["layer"]["env"]["LAYER_TOOLSETS"] == "models"


def test_another_file_of_the_client_can_be_named(home: AttachHome) -> None:
    home.done("install", "claude-code", "--sandbox", "--file", ".mcp.json")
    assert "layer" in json.loads((home.folder / ".mcp.json").read_text())["mcpServers"]


def test_a_dry_run_shows_a_diff_and_writes_nothing(home: AttachHome) -> None:
    shown = home.done("install", "cursor", "--dry-run", LAYER_API_KEY="pat_hush_hush")
    assert f"+++ {file_of(home, 'cursor')}" in shown
    assert SCRIPT in shown
    assert "hush" not in shown
    assert list(home.folder.iterdir()) == []


def test_config_without_a_keyring_says_where_the_token_has_to_be(home: AttachHome) -> None:
    assert "add LAYER_API_KEY" in home.run("config", "cursor").stderr


def test_a_dry_run_without_a_token_says_that_one_is_asked_for(home: AttachHome) -> None:
    assert "no token yet" in home.run("install", "cursor", "--dry-run").stderr


def test_a_dry_run_stores_no_token(keyring_home: AttachHome) -> None:
    keyring_home.done("install", "cursor", "--dry-run", LAYER_API_KEY="pat_1")
    assert keyring_home.keyring is not None
    assert not keyring_home.keyring.exists()


def test_with_a_keyring_the_token_is_stored_there_and_the_server_finds_it(
    keyring_home: AttachHome, sandbox: RunningSandbox
) -> None:
    printed = keyring_home.done("install", "codex", LAYER_API_KEY=sandbox.token)
    assert "stored in Test keyring" in printed
    assert sandbox.token not in file_of(keyring_home, "codex").read_text()
    server = server_of(keyring_home, "codex", **keyring_home.environment())

    async def workspaces() -> dict[str, Any]:
        async with Client(server) as client:
            return content_of(await client.call_tool("list_workspaces", {}))

    assert anyio.run(workspaces)["workspaces"][0]["name"] == "Sandbox"


def test_a_stored_token_is_enough(keyring_home: AttachHome, sandbox: RunningSandbox) -> None:
    keyring_home.done("login", piped=sandbox.token)
    assert "The token is in Test keyring" in keyring_home.done("install", "cursor")


@pytest.mark.parametrize(
    ("mode", "readers"),
    [(None, "every program of yours"), (0o640, "your group"), (0o644, "every user")],
)
def test_without_a_keyring_the_token_stands_in_the_file_with_a_warning_about_its_readers(
    home: AttachHome, mode: int | None, readers: str
) -> None:
    if mode is not None:
        file_of(home, "cursor").parent.mkdir()
        file_of(home, "cursor").write_text("{}")
        file_of(home, "cursor").chmod(mode)
    printed = home.done("install", "cursor", LAYER_API_KEY="pat_1")
    assert "Warning" in printed
    assert readers in printed
    assert entry_of(home, "cursor")["env"] == {"LAYER_API_KEY": "pat_1"}


def test_a_token_in_the_entry_is_kept_by_the_next_installation(home: AttachHome) -> None:
    home.done("install", "cursor", LAYER_API_KEY="pat_1")
    assert "already installed" in home.done("install", "cursor")


def test_a_token_leaves_the_file_when_there_is_a_keyring(
    home: AttachHome, keyring_home: AttachHome
) -> None:
    home.done("install", "cursor", LAYER_API_KEY="pat_1")
    there = AttachHome(home.folder, keyring_home.keyring)
    assert "updated" in there.done("install", "cursor")
    assert "pat_1" not in file_of(home, "cursor").read_text()


@pytest.mark.parametrize("token", ["sk-hush", "https://layer.ai/hush", "ghp_hush"])
def test_a_token_of_the_wrong_kind_is_said_and_nothing_is_written(
    home: AttachHome, token: str
) -> None:
    said = home.failed("install", "cursor", LAYER_API_KEY=token)
    assert "Nothing was changed" in said
    assert "hush" not in said
    assert list(home.folder.iterdir()) == []


def test_without_a_token_and_a_terminal_the_ways_to_give_one_are_said(home: AttachHome) -> None:
    said = home.failed("install", "cursor")
    assert all(way in said for way in ("layer-mcp login", "LAYER_API_KEY", "--sandbox"))
    assert list(home.folder.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX terminals")
def test_at_a_terminal_the_token_is_asked_for_and_not_echoed(home: AttachHome) -> None:
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [SCRIPT, "install", "cursor"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=home.environment(),
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = _shown_until(ours, "shown): ")
        os.write(ours, b" pat_hush\n")
        shown += _shown_until(ours, None)
        assert process.wait(60) == 0
    os.close(ours)
    assert "hush" not in shown
    assert entry_of(home, "cursor")["env"] == {"LAYER_API_KEY": "pat_hush"}


def _shown_until(terminal: int, end: str | None) -> str:
    """What a terminal shows until these words, or until the program ends."""
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


def test_what_is_wrong_with_a_file_is_said_before_a_token_is_stored(
    keyring_home: AttachHome,
) -> None:
    file_of(keyring_home, "cursor").parent.mkdir()
    file_of(keyring_home, "cursor").write_text('{\n  "a": 1\n  "b"\n}')
    said = keyring_home.failed("install", "cursor", LAYER_API_KEY="pat_1")
    assert "mcp.json, line 3, column 3" in said
    assert keyring_home.keyring is not None
    assert not keyring_home.keyring.exists()


def test_a_file_that_cannot_be_written_is_said_before_a_token_is_stored(
    keyring_home: AttachHome,
) -> None:
    file_of(keyring_home, "cursor").parent.mkdir(mode=0o555)
    assert "is read-only" in keyring_home.failed("install", "cursor", LAYER_API_KEY="pat_1")
    assert keyring_home.keyring is not None
    assert not keyring_home.keyring.exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_disk_that_takes_no_more_leaves_the_file_as_it_was_and_nothing_beside_it(
    home: AttachHome,
) -> None:
    file = file_of(home, "cursor")
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
    assert "cannot be written" in done.stdout
    assert [(one.name, one.read_text()) for one in file.parent.iterdir()] == [("mcp.json", "{}")]


@pytest.mark.parametrize("placeholder", ["${env:LAYER_API_KEY}", "your token", ""])
def test_what_is_no_token_in_an_old_entry_is_not_taken_for_one(
    home: AttachHome, placeholder: str
) -> None:
    file_of(home, "cursor").parent.mkdir()
    entry = {"command": "old", "env": {"LAYER_API_KEY": placeholder}}
    file_of(home, "cursor").write_text(json.dumps({"mcpServers": {"layer": entry}}))
    assert "There is no token" in home.failed("install", "cursor")


def test_the_sandbox_may_be_wished_for_before_the_command_too(home: AttachHome) -> None:
    home.done("--sandbox", "install", "cursor")
    assert entry_of(home, "cursor")["env"] == {"LAYER_SANDBOX": "1"}


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_an_unknown_client_is_exit_code_2_with_the_nearest_name(
    home: AttachHome, command: str
) -> None:
    done = home.run(command, "windsurfer")
    assert done.returncode == 2
    assert "Did you mean windsurf?" in done.stderr


@pytest.mark.parametrize("command", ["config", "install", "uninstall", "login", "logout"])
def test_no_command_takes_the_token_as_an_argument(home: AttachHome, command: str) -> None:
    shown = home.done(command, "--help")
    assert "--token" not in shown
    assert len(shown.splitlines()) < 35


def test_a_choice_that_the_server_would_refuse_is_exit_code_2(home: AttachHome) -> None:
    done = home.run("install", "cursor", "--sandbox", "--max-price", "much")
    assert done.returncode == 2
    assert "LAYER_MAX_PRICE" in done.stderr
