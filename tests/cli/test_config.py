"""layer-mcp config as a person runs it."""

import os
import subprocess
from pathlib import Path

import pytest

from layer_mcp.clients.catalog import find_client

from ..support.client_home import CLIENT_IDS, ClientHome, parse_servers
from ..support.hosts import SCRIPT, child_environment

pytestmark = pytest.mark.process


def config(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, "config", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=child_environment(environment),
    )


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENT_IDS)
def test_config_prints_an_entry_that_the_client_reads_with_an_absolute_command(client: str) -> None:
    done = config(client, "--sandbox", "--name", "art")
    assert done.returncode == 0, done.stderr
    entry = parse_servers(client, done.stdout)["art"]
    assert entry["cmd" if client == "goose" else "command"] == SCRIPT
    assert entry[find_client(client).env_key] == {"LAYER_SANDBOX": "1"}


def test_config_names_the_file_of_the_client(tmp_path: Path) -> None:
    done = config("codex", HOME=str(tmp_path))
    assert str(tmp_path / ".codex/config.toml") in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX users")
def test_config_without_home_uses_the_systems_folder_for_the_user() -> None:
    done = subprocess.run(
        [SCRIPT, "config", "cursor", "--sandbox"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={},
    )
    path = Path(done.stderr.strip().partition(" reads it from ")[2].removesuffix("."))
    assert path.is_absolute()
    assert path.name == "mcp.json"


def test_config_without_a_client_lists_every_client() -> None:
    assert [line.split()[0] for line in config().stdout.splitlines()] == CLIENT_IDS


def test_config_never_prints_the_token() -> None:
    done = config("cursor", LAYER_API_KEY="pat_secret")
    assert "pat_secret" not in done.stdout + done.stderr


def test_an_unknown_client_is_exit_code_2_and_one_line() -> None:
    done = config("crusor")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "two words", "a.b", "x" * 41])
def test_rejects_a_name_that_a_client_may_refuse(name: str) -> None:
    assert config("cursor", "--name", name).returncode == 2


def test_config_without_a_keyring_says_where_to_put_the_token(tmp_path: Path) -> None:
    assert "add LAYER_API_KEY" in ClientHome(tmp_path).run("config", "cursor").stderr
