"""OAuth access tokens that come again: what is checked each time, and what only once."""

from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from layer_mcp.server.http.auth import oauth
from layer_mcp.server.http.auth.oauth import caller_name
from layer_mcp.server.http.settings import HttpSettings

from ....support.callers import ask, guarded_app
from ....support.issuer import AUDIENCE, Issuer, running_issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture
def url(issuer: Issuer) -> Iterator[str]:
    http = HttpSettings(oauth_issuer=issuer.url, oauth_audience=AUDIENCE)
    with guarded_app(http) as address:
        yield address


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signatures were checked."""
    checked: list[str] = []
    decode = jwt.decode

    def counted(token: str, *arguments: Any, **options: Any) -> dict[str, Any]:
        checked.append(token)
        return decode(token, *arguments, **options)

    monkeypatch.setattr(jwt, "decode", counted)
    return checked


def test_the_signature_of_a_token_is_checked_once(
    url: str, issuer: Issuer, checks: list[str]
) -> None:
    alice, bob = issuer.token(), issuer.token(sub="bob")
    callers = [ask(url, token).json()["name"] for token in (alice, bob, alice, bob)]
    assert callers == [caller_name(issuer.url, name, "agent") for name in ("alice", "bob") * 2]
    assert checks == [alice, bob]


def test_a_refused_token_is_checked_again(url: str, issuer: Issuer, checks: list[str]) -> None:
    token = issuer.token(aud="other")
    assert [ask(url, token).status_code for _ in range(2)] == [401, 401]
    assert checks == [token, token]


def test_a_known_token_expires(url: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    token = issuer.token()
    assert ask(url, token).status_code == 200
    # As if the clock were an hour ahead.
    monkeypatch.setattr(oauth, "CLOCK_SKEW_SECONDS", -3600)
    assert ask(url, token).status_code == 401


def test_only_the_last_used_tokens_are_remembered(
    url: str, issuer: Issuer, checks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth, "MAX_REMEMBERED", 2)
    first, second, third = (issuer.token(sub=f"agent-{number}") for number in range(3))
    for token in (first, second, first, third, first, second):
        assert ask(url, token).status_code == 200
    assert checks == [first, second, third, second]
