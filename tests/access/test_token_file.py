"""The file of tokens: what is accepted, and what is refused in one sentence."""

import os
import stat
from pathlib import Path

import pytest

from layer_mcp.access.token_file import (
    CallerLimits,
    TokenFile,
    hash_token,
    is_shared,
    parse_token_file,
    read_token_file,
)
from layer_mcp.settings import SettingsError

ANY_HASH = hash_token("any")
VALID = f'sha256 = "{ANY_HASH}"\nscopes = ["layer:read"]\n'


def parse(text: str) -> TokenFile:
    return parse_token_file(Path("tokens.toml"), text.encode())


def test_an_entry_has_a_name_scopes_and_limits() -> None:
    text = f'[tokens."alice@example.com"]\n{VALID}max_price = 2\nmax_spend_per_day = 0.5'
    found = parse(text).find("any")
    assert found is not None
    assert (found.name, found.scopes) == ("alice@example.com", ("layer:read",))
    assert found.limits == CallerLimits(2, 0.5)


def test_a_token_that_may_spend_may_read() -> None:
    [token] = parse(f'[tokens.a]\nsha256 = "{ANY_HASH}"\nscopes = ["layer:spend"]').tokens
    assert token.scopes == ("layer:read", "layer:spend")


def test_an_unknown_token_is_not_found() -> None:
    assert parse(f"[tokens.a]\n{VALID}").find(ANY_HASH) is None


def test_an_empty_file_has_no_tokens() -> None:
    assert parse("").tokens == ()


def test_a_caller_without_a_table_has_the_limits_of_the_asterisk() -> None:
    file = parse('[callers."*"]\nmax_price = 1\n[callers."1a2b:bob"]\nmax_price = 9')
    assert file.limits_of("1a2b:bob") == CallerLimits(9)
    assert file.limits_of("1a2b:eve") == CallerLimits(1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[tokens.a]\nsha256 = ", "isn't valid TOML in line 2; correct that line"),
        ('[tokens.a]\nsha256 = "', "isn't valid TOML in line 2; correct that line"),
        (f"[tokens.a]\n{VALID}[tokens.a]\n{VALID}", 'has two tokens with the name "a"; remove or'),
        (f"[tokens.a]\n{VALID}[tokens.A]\n{VALID}", "upper and lower case; rename one"),
        (f"[tokens.a]\n{VALID}[tokens.b]\n{VALID}", "in two tables; create a token for each"),
        (f"[tokens.a]\n{VALID}color = 1", 'has an unknown key "color" for "a"'),
        ("[token.a]", 'has an unknown key "token" at its top'),
        (f"[tokens.'a b']\n{VALID}", 'has the name "a b"; names are'),
        ("[tokens]\na = 1", 'has a value instead of a table at "tokens.a"'),
        ('[tokens.a]\nsha256 = "secret"\nscopes = ["layer:read"]', "must be 64 hexadecimal"),
        (f'[tokens.a]\nsha256 = "{ANY_HASH}"', "has invalid scopes for a"),
        (
            f'[tokens.a]\nsha256 = "{ANY_HASH}"\nscopes = ["read"]',
            "list of layer:read and",
        ),
        (f"[tokens.a]\n{VALID}max_price = nan", 'has an invalid max_price for "a"'),
        (f"[tokens.a]\n{VALID}max_price = true", 'has an invalid max_price for "a"'),
        (f"[tokens.a]\n{VALID}created = 1", "has an invalid created for a"),
    ],
)
def test_an_invalid_file_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(text)
    message = str(refused.value)
    assert message.startswith("The tokens file tokens.toml ")
    assert sentence in message
    assert "\n" not in message


def test_a_refusal_does_not_repeat_a_hash() -> None:
    with pytest.raises(SettingsError) as refused:
        parse(f'[tokens.a]\nsha256 = "{ANY_HASH}0"')
    assert ANY_HASH not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_can_use_is_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.touch()
    path.chmod(mode)
    with pytest.raises(SettingsError, match="run chmod 600 on it"):
        read_token_file(path)


def test_a_file_in_another_encoding_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"isn't UTF-8 in line 2; save it as UTF-8\."):
        parse_token_file(Path("tokens.toml"), b"# one\n# \xe9")


def test_a_path_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="let the user who runs the server"):
        read_token_file(tmp_path / "file" / "tokens.toml")


def test_a_missing_file_is_refused_with_the_command_that_creates_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="create it with layer-mcp tokens add"):
        read_token_file(tmp_path / "tokens.toml")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_not_a_regular_file_is_refused(make: object, tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    assert callable(make)
    make(path)
    with pytest.raises(SettingsError, match="is not a regular file"):
        read_token_file(path)


def test_the_group_may_read_a_file_that_root_gives_to_a_service() -> None:
    mode = stat.S_IFREG | 0o440
    assert not is_shared(mode, owner=0, user=1000)
    assert is_shared(mode, owner=1000, user=1000)
    assert is_shared(stat.S_IFREG | 0o444, owner=0, user=1000)
    assert is_shared(stat.S_IFREG | 0o660, owner=0, user=1000)
