"""The issuer's keys: when they are fetched, and what happens if that fails."""

import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from layer_mcp.server.http.auth import issuer_keys, keys
from layer_mcp.server.http.settings import HttpSettings

from ....support.callers import ask, challenge, guarded_app
from ....support.issuer import (
    JWKS_PATH,
    METADATA_PATH,
    Answer,
    Issuer,
    new_key,
    public_jwk,
    running_issuer,
)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture
def url(issuer: Issuer) -> Iterator[str]:
    with guarded_app(HttpSettings(oauth_issuer=issuer.url)) as address:
        yield address


def test_keys_are_fetched_once_for_many_requests(url: str, issuer: Issuer) -> None:
    assert [ask(url, issuer.token()).status_code for _ in range(5)] == [200] * 5
    assert issuer.fetches() == 1


def test_requests_that_come_together_share_a_fetch(url: str, issuer: Issuer) -> None:
    issuer.answers[JWKS_PATH].delay_seconds = 0.3
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(partial(ask, url), [issuer.token() for _ in range(5)]))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert issuer.fetches() == 1


def test_tokens_with_unknown_keys_do_not_make_the_server_ask_again(
    url: str, issuer: Issuer
) -> None:
    ask(url, issuer.token())
    stranger = Issuer(issuer.url, {"unknown": new_key()})
    answers = [ask(url, stranger.token(key="unknown")).status_code for _ in range(5)]
    assert answers == [401] * 5
    assert issuer.fetches() == 1


def test_a_new_key_is_accepted_after_the_pause(
    url: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "UNKNOWN_KEY_PAUSE_SECONDS", 0.0)
    assert ask(url, issuer.token()).status_code == 200
    issuer.keys["second"] = new_key()
    issuer.publish()
    assert ask(url, issuer.token(key="second")).status_code == 200


def test_a_key_that_the_issuer_has_removed_is_refused_when_the_keys_expire(
    url: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MIN_AGE_SECONDS", 0.0)
    monkeypatch.setattr(keys, "UNKNOWN_KEY_PAUSE_SECONDS", 0.0)
    issuer.answers[JWKS_PATH].headers["Cache-Control"] = "max-age=0"
    old = issuer.token()
    assert ask(url, old).status_code == 200
    issuer.keys = {"second": new_key()}
    issuer.publish()
    assert ask(url, old).status_code == 401


def test_a_token_of_a_key_that_was_replaced_under_its_id_is_refused(
    url: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MIN_AGE_SECONDS", 0.0)
    monkeypatch.setattr(keys, "UNKNOWN_KEY_PAUSE_SECONDS", 0.0)
    issuer.answers[JWKS_PATH].headers["Cache-Control"] = "max-age=0"
    old = issuer.token()
    assert ask(url, old).status_code == 200
    issuer.keys["first"] = new_key()
    issuer.publish()
    assert ask(url, old).status_code == 401


def test_known_keys_are_kept_while_the_issuer_is_away(
    url: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "MIN_AGE_SECONDS", 0.0)
    monkeypatch.setattr(keys, "UNKNOWN_KEY_PAUSE_SECONDS", 0.0)
    issuer.answers[JWKS_PATH].headers["Cache-Control"] = "max-age=0"
    assert ask(url, issuer.token()).status_code == 200
    issuer.answers[JWKS_PATH].status = 503
    assert ask(url, issuer.token()).status_code == 200
    assert issuer.fetches() == 2


def test_keys_are_not_kept_for_ever(
    url: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "UNKNOWN_KEY_PAUSE_SECONDS", 0.0)
    assert ask(url, issuer.token()).status_code == 200
    monkeypatch.setattr(keys, "MAX_STALE_SECONDS", 0.0)
    issuer.answers[JWKS_PATH].status = 503
    assert ask(url, issuer.token()).status_code == 503


BAD_ANSWERS = {
    "500": Answer({}, 500),
    "redirect": Answer({}, 302, {"Location": "/elsewhere.json"}),
    "not JSON": Answer(b"<html>"),
    "a list": Answer([]),
    "deep": Answer(b"[" * 100_000),
    "no keys": Answer({"keys": []}),
    "keys of another type": Answer({"keys": "x"}),
    "huge": Answer({"keys": [{"kty": "EC"}], "x": "y" * 300_000}),
    "compressed": Answer({"keys": [{}]}, headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=list(BAD_ANSWERS))
def test_a_token_that_cannot_be_checked_is_not_called_invalid(
    answer: Answer, url: str, issuer: Issuer
) -> None:
    issuer.answers["/elsewhere.json"] = issuer.answers[JWKS_PATH]
    issuer.answers[JWKS_PATH] = answer
    refused = ask(url, issuer.token())
    assert refused.status_code == 503
    assert refused.headers["retry-after"].isdigit()
    assert "www-authenticate" not in refused.headers


def test_a_slow_issuer_is_not_waited_for(
    url: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "TOTAL_SECONDS", 0.2)
    issuer.answers[JWKS_PATH].delay_seconds = 5
    begin = time.monotonic()
    assert ask(url, issuer.token()).status_code == 503
    assert time.monotonic() - begin < 4


def test_an_issuer_that_fails_is_not_asked_by_every_request(url: str, issuer: Issuer) -> None:
    issuer.answers[JWKS_PATH].status = 500
    assert [ask(url, issuer.token()).status_code for _ in range(4)] == [503] * 4
    assert issuer.fetches() == 1


def test_an_issuer_that_is_back_is_asked_again(
    url: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "FAILURE_PAUSE_SECONDS", 0.0)
    issuer.answers[JWKS_PATH].status = 500
    assert ask(url, issuer.token()).status_code == 503
    issuer.publish()
    assert ask(url, issuer.token()).status_code == 200


def test_a_token_without_a_key_id_is_accepted_if_there_is_one_key(url: str, issuer: Issuer) -> None:
    assert ask(url, issuer.token(headers={"kid": None})).status_code == 200


def test_a_token_without_a_key_id_is_refused_if_there_are_several(url: str, issuer: Issuer) -> None:
    issuer.keys["second"] = new_key()
    issuer.publish()
    answer = ask(url, issuer.token(headers={"kid": None}))
    assert (answer.status_code, challenge(answer)["error"]) == (401, "invalid_token")


@pytest.mark.parametrize(
    "change",
    [{"use": "enc"}, {"alg": "ES384"}, {"crv": "P-384"}, {"x": "AAAA"}, {"kid": 5}],
    ids=["for encryption", "other algorithm", "other curve", "not on the curve", "kid not text"],
)
def test_a_key_that_is_not_for_signatures_is_left_out(
    change: dict[str, Any], url: str, issuer: Issuer
) -> None:
    [jwk] = issuer.answers[JWKS_PATH].content["keys"]
    jwk.update(change)
    assert ask(url, issuer.token()).status_code == 401


def test_a_short_rsa_key_is_left_out(url: str, issuer: Issuer) -> None:
    short = rsa.generate_private_key(65537, 1024)
    issuer.keys["short"] = short
    issuer.publish()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        token = issuer.token(key="short", algorithm="RS256")
    assert ask(url, token).status_code == 401


def test_the_address_of_the_keys_can_be_set(issuer: Issuer) -> None:
    issuer.answers["/mine.json"] = Answer({"keys": [public_jwk(issuer.keys["first"], "first")]})
    http = HttpSettings(oauth_issuer=issuer.url, oauth_jwks_url=f"{issuer.url}/mine.json")
    with guarded_app(http) as url:
        assert ask(url, issuer.token()).status_code == 200
    assert issuer.asked == ["/mine.json"]


def test_metadata_of_another_issuer_are_not_believed(url: str, issuer: Issuer) -> None:
    issuer.answers[METADATA_PATH].content["issuer"] = "https://other.example.com"
    assert ask(url, issuer.token()).status_code == 503


def test_keys_are_not_fetched_from_another_host_without_tls(
    url: str, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.answers[METADATA_PATH].content["jwks_uri"] = "http://keys.example.com/jwks"
    assert ask(url, issuer.token()).status_code == 503
    assert "has no valid jwks_uri" in caplog.text


def test_openid_metadata_are_found_too(url: str, issuer: Issuer) -> None:
    metadata = issuer.answers.pop(METADATA_PATH)
    issuer.answers["/.well-known/openid-configuration"] = metadata
    assert ask(url, issuer.token()).status_code == 200


def test_the_path_of_an_issuer_is_inserted_or_followed() -> None:
    assert issuer_keys.metadata_urls("https://id.example.com/tenant/") == (
        "https://id.example.com/.well-known/oauth-authorization-server/tenant",
        "https://id.example.com/.well-known/openid-configuration/tenant",
        "https://id.example.com/tenant/.well-known/openid-configuration",
    )
