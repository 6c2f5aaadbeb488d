"""Callers with a token from a file, over HTTP on loopback."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from layer_mcp.server.callers.caller import CALLER_KEY
from layer_mcp.server.http.auth.challenge import INVALID_TOKEN, NO_TOKEN, SEVERAL_HEADERS
from layer_mcp.server.http.auth.setup import open_authentication
from layer_mcp.server.http.exchange import Exchange, observe
from layer_mcp.server.http.settings import HttpSettings
from layer_mcp.settings import SettingsError

from ....support.callers import (
    READ,
    SPEND,
    SPENDING_TOOLS,
    answer_caller,
    ask,
    challenge,
    entry,
    guarded_app,
    message_of,
    new_token,
    write_tokens,
)


@dataclass(frozen=True)
class Team:
    """A server whose tokens file has a caller who may spend, and one who may read."""

    url: str
    file: Path
    alice: str
    reader: str


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    file, alice, reader = tmp_path / "tokens.toml", new_token(), new_token()
    limited = entry(alice, max_price=5, max_spend_per_day=50)
    write_tokens(file, {"alice": limited, "reader": entry(reader, READ)})
    with guarded_app(HttpSettings(tokens_file=str(file))) as url:
        yield Team(url, file, alice, reader)


def test_a_token_names_its_caller_with_scopes_and_limits(team: Team) -> None:
    caller = ask(team.url, team.alice).json()
    assert (caller["name"], caller["scopes"]) == ("alice", SPEND)
    assert (caller["max_price"], caller["max_spend_per_day"]) == (5, 50)


def test_the_sdk_binds_questions_to_the_name(team: Team) -> None:
    assert ask(team.url, team.alice).json()["client_id"] == "alice"


def test_the_server_forgets_the_token_itself(team: Team) -> None:
    assert team.alice not in ask(team.url, team.alice).json()["access"]


def test_a_request_without_a_token_is_told_which_scopes_it_needs(team: Team) -> None:
    answer = ask(team.url)
    assert answer.status_code == 401
    assert challenge(answer) == {"scope": "layer:read layer:spend"}
    assert message_of(answer) == NO_TOKEN


@pytest.mark.parametrize("header", ["Basic YWxpY2U6eA==", "Bearer"])
def test_a_header_without_a_token_counts_as_no_token(header: str, team: Team) -> None:
    answer = ask(team.url, headers=[("Authorization", header)])
    assert answer.status_code == 401
    assert "error" not in challenge(answer)


@pytest.mark.parametrize("change", ["{}x", " {}", "{0}{0}", "x"])
def test_a_wrong_token_is_refused(change: str, team: Team) -> None:
    answer = ask(team.url, change.format(team.alice))
    assert answer.status_code == 401
    assert challenge(answer)["error"] == "invalid_token"
    assert message_of(answer) == INVALID_TOKEN
    assert team.alice not in answer.text + str(answer.headers)


def test_the_hash_of_a_token_is_not_a_token(team: Team) -> None:
    assert ask(team.url, entry(team.alice)["sha256"]).status_code == 401


def test_a_removed_token_stops_working_at_the_next_request(team: Team) -> None:
    assert ask(team.url, team.alice).status_code == 200
    write_tokens(team.file, {"reader": entry(team.reader, READ)})
    assert ask(team.url, team.alice).status_code == 401
    assert ask(team.url, team.reader).status_code == 200


def test_a_new_token_works_without_a_restart(team: Team) -> None:
    bob = new_token()
    write_tokens(team.file, {"bob": entry(bob)})
    assert ask(team.url, bob).json()["name"] == "bob"


def test_an_invalid_change_keeps_the_tokens_and_is_logged_once(
    team: Team, caplog: pytest.LogCaptureFixture
) -> None:
    write_tokens(team.file, {"alice": {"sha256": "?"}})
    with caplog.at_level(logging.WARNING, "layer_mcp"):
        assert [ask(team.url, team.alice).status_code for _ in range(3)] == [200] * 3
    [record] = [one for one in caplog.records if one.name.startswith("layer_mcp")]
    assert "The tokens from before the change stay valid." in record.getMessage()


def test_without_the_file_no_token_works(team: Team) -> None:
    team.file.unlink()
    assert ask(team.url, team.alice).status_code == 401


def test_several_authorization_headers_are_refused(team: Team) -> None:
    answer = ask(team.url, team.alice, headers=[("Authorization", f"Bearer {team.reader}")])
    assert (answer.status_code, message_of(answer)) == (400, SEVERAL_HEADERS)


@pytest.mark.parametrize("name", ["access_token", "token", "Access_Token", "access%5Ftoken"])
def test_a_token_in_the_url_is_refused_even_beside_a_valid_one(
    name: str, team: Team, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "layer_mcp"):
        answer = ask(f"{team.url}", team.alice, query=f"?{name}={team.reader}")
    assert answer.status_code == 400
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("layer_mcp")]
    assert team.reader not in answer.text + str(ours)


def test_a_reader_cannot_call_a_tool_that_spends(team: Team) -> None:
    body = '{"method": "tools/call", "params": {"name": "execute_inference"}}'
    answer = ask(team.url, team.reader, body)
    assert answer.status_code == 403
    assert challenge(answer)["error"] == "insufficient_scope"
    assert challenge(answer)["scope"] == "layer:read layer:spend"
    assert ask(team.url, team.alice, body).status_code == 200


@pytest.mark.anyio
async def test_the_log_names_a_reader_who_was_refused(tmp_path: Path) -> None:
    file, token, seen = tmp_path / "tokens.toml", new_token(), list[Exchange]()
    write_tokens(file, {"reader": entry(token, READ)})
    authentication = open_authentication(HttpSettings(tokens_file=str(file)), "https://localhost")
    app = observe(authentication.protect(answer_caller, SPENDING_TOOLS), [], [seen.append])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        body = '{"method": "tools/call", "params": {"name": "execute_inference"}}'
        headers = {"Authorization": f"Bearer {token}"}
        await http.post("https://localhost/mcp", content=body, headers=headers)
    assert [(one.status, one.scope[CALLER_KEY].name) for one in seen] == [(403, "reader")]


def test_a_reader_request_reaches_the_server_unchanged(team: Team) -> None:
    body = '{"method": "tools/call", "params": {"name": "get_status"}, "x": "' + "y" * 200_000
    assert ask(team.url, team.reader, body).json()["body"] == body


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        (None, 0o600, "doesn't exist; create it"),
        ("", 0o644, "Other users can read or write .*; run chmod 600 on it"),
        ("[tokens.a", 0o600, "isn't valid TOML in line 1"),
        ("[tokens.a]\n[tokens.a]", 0o600, 'two tokens with the name "a"'),
        ("[tokens.a]\nsha256 = 'x'", 0o600, "no valid sha256 for a: it must be"),
    ],
)
def test_an_invalid_file_is_refused_at_the_start(
    content: str | None, mode: int, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.toml"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    settings = HttpSettings(tokens_file=str(file))
    with pytest.raises(SettingsError, match=sentence), guarded_app(settings):
        pass


def test_without_authentication_everybody_is_the_local_user(tmp_path: Path) -> None:
    with guarded_app(HttpSettings()) as url:
        caller = ask(url).json()
    assert (caller["name"], caller["scopes"], caller["client_id"]) == ("", SPEND, None)
