"""layer-mcp tokens: add, list, and remove the tokens of a server."""

import stat
from pathlib import Path

import pytest

from layer_mcp.access.token_file import read_token_file

from ..support.terminal import Person


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "tokens.toml"


def test_a_new_token_is_shown_once_and_stored_as_a_hash(person: Person, file: Path) -> None:
    ended = person.here("tokens", "add", "alice", "--max-price", "5", "--file", str(file))
    token = ended.stdout.strip()
    assert token.startswith("lmcp_")
    assert token not in file.read_text() + ended.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = read_token_file(file).find(token)
    assert found is not None
    assert (found.name, found.limits.max_price) == ("alice", 5)
    assert "layer:spend" in found.scopes


def test_a_token_may_only_read(person: Person, file: Path) -> None:
    person.here("tokens", "add", "bob", "--scopes", "read", "--file", str(file))
    [token] = read_token_file(file).tokens
    assert token.scopes == ("layer:read",)


def test_the_list_shows_names_and_limits_but_no_hashes(person: Person, file: Path) -> None:
    for name in ("alice", "bob@example.com"):
        person.here("tokens", "add", name, "--max-spend-per-day", "9", "--file", str(file))
    listed = person.here("tokens", "list", LAYER_TOKENS_FILE=str(file)).stdout
    assert [line.split()[:3] for line in listed.splitlines()[1:]] == [
        ["alice", "spend", "9"],
        ["bob@example.com", "spend", "9"],
    ]
    assert not any(token.sha256 in listed for token in read_token_file(file).tokens)


def test_removing_a_token_keeps_the_others_and_the_comments(person: Person, file: Path) -> None:
    for name in ("alice", "bob@example.com"):
        person.here("tokens", "add", name, "--file", str(file))
    file.write_text("# The art team\n" + file.read_text())
    assert person.here("tokens", "remove", "bob@example.com", "--file", str(file)).returncode == 0
    assert [token.name for token in read_token_file(file).tokens] == ["alice"]
    assert file.read_text().startswith("# The art team\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "ALICE"), "already has a token for ALICE"),
        (("add", "a b"), 'The token can\'t have the name "a b"'),
        (("add",), "layer-mcp tokens add needs a name"),
        (("list", "alice"), "layer-mcp tokens list takes no name"),
        (("remove", "bob"), 'has no token for "bob"'),
        (("remove", "alice", "--max-price", "1"), "need the action add"),
    ],
)
def test_a_wrong_command_changes_nothing(
    arguments: tuple[str, ...], sentence: str, person: Person, file: Path
) -> None:
    person.here("tokens", "add", "alice", "--file", str(file))
    before = file.read_bytes()
    ended = person.here("tokens", *arguments, "--file", str(file))
    assert ended.returncode != 0
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert file.read_bytes() == before


def test_a_file_that_others_can_read_is_not_changed(person: Person, file: Path) -> None:
    person.here("tokens", "add", "alice", "--file", str(file))
    file.chmod(0o644)
    assert "run chmod 600" in person.here("tokens", "add", "bob", "--file", str(file)).stderr
    assert "bob" not in file.read_text()


def test_without_a_file_the_configuration_folder_is_used(person: Person, tmp_path: Path) -> None:
    person.here("tokens", "add", "alice", XDG_CONFIG_HOME=str(tmp_path))
    [token] = read_token_file(tmp_path / "layer-mcp" / "tokens.toml").tokens
    assert token.name == "alice"
