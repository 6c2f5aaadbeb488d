"""Callers with an OAuth access token, over HTTP on loopback: which tokens are accepted."""

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from layer_mcp.server.http.auth.oauth import caller_name
from layer_mcp.server.http.settings import HttpSettings

from ....support.callers import ask, challenge, guarded_app, new_token, write_tokens
from ....support.issuer import (
    AUDIENCE,
    Issuer,
    PrivateKey,
    new_key,
    public_jwk,
    running_issuer,
    signed_with_secret,
    unsigned,
)

PUBLIC_URL = "https://mcp.example.com"
METADATA_URL = f"{PUBLIC_URL}/.well-known/oauth-protected-resource/mcp"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture
def url(issuer: Issuer) -> Iterator[str]:
    http = HttpSettings(oauth_issuer=issuer.url, public_url=PUBLIC_URL)
    with guarded_app(http, PUBLIC_URL) as address:
        yield address


def test_a_valid_token_names_its_caller(url: str, issuer: Issuer) -> None:
    caller = ask(url, issuer.token()).json()
    assert caller["name"] == caller_name(issuer.url, "alice", "agent")
    assert caller["scopes"] == ["layer:read", "layer:spend"]
    assert caller["client_id"] == "agent"


def test_a_request_without_a_token_learns_where_the_metadata_are(url: str) -> None:
    answer = ask(url)
    assert answer.status_code == 401
    assert challenge(answer) == {
        "resource_metadata": METADATA_URL,
        "scope": "layer:read layer:spend",
    }


@pytest.mark.parametrize("path", ["/mcp", ""])
def test_the_metadata_name_the_resource_and_the_issuer(path: str, url: str, issuer: Issuer) -> None:
    address = f"{url}/.well-known/oauth-protected-resource{path}"
    metadata = httpx.get(address, trust_env=False).json()
    assert metadata["resource"] == AUDIENCE
    assert metadata["authorization_servers"] == [issuer.url]
    assert metadata["scopes_supported"] == ["layer:read", "layer:spend"]
    assert metadata["bearer_methods_supported"] == ["header"]


NOW = int(time.time())
BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "expired": {"exp": NOW - 1},
    "without an expiry": {"exp": None},
    "with an absurd expiry": {"exp": 1e999},
    "not yet valid": {"nbf": NOW + 100_000},
    "issued in the future": {"iat": NOW + 100_000},
    "for another audience": {"aud": "https://other.example.com/mcp"},
    "for a longer audience": {"aud": AUDIENCE + "/deeper"},
    "without an audience": {"aud": None},
    "of another issuer": {"iss": "https://other.example.com"},
    "without an issuer": {"iss": None},
    "of nobody": {"sub": None, "client_id": None},
    "with a subject that isn't text": {"sub": 5},
    "with half a character": {"sub": "\ud800"},
    "an ID token by its hash": {"at_hash": "x"},
    "an ID token of Keycloak": {"typ": "ID"},
    "an ID token of Cognito": {"token_use": "id"},
    "longer than 16 KB": {"padding": "x" * 16_384},
}


@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=list(BAD_CLAIMS))
def test_a_signed_token_with_wrong_claims_is_refused(
    claims: dict[str, Any], url: str, issuer: Issuer
) -> None:
    answer = ask(url, issuer.token(**claims))
    assert answer.status_code == 401
    assert challenge(answer)["error"] == "invalid_token"


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", 5])
def test_a_token_of_another_kind_is_refused(kind: Any, url: str, issuer: Issuer) -> None:
    assert ask(url, issuer.token(headers={"typ": kind})).status_code == 401


@pytest.mark.parametrize("kind", ["at+jwt", "application/at+jwt", "jwt", None])
def test_an_access_token_may_name_its_kind(kind: str | None, url: str, issuer: Issuer) -> None:
    assert ask(url, issuer.token(headers={"typ": kind})).status_code == 200


def test_one_audience_of_several_is_enough(url: str, issuer: Issuer) -> None:
    assert ask(url, issuer.token(aud=["other", AUDIENCE])).status_code == 200


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE"])
def test_an_unsigned_token_is_refused(algorithm: str, url: str, issuer: Issuer) -> None:
    token = unsigned({"alg": algorithm, "kid": "first"}, issuer.claims())
    assert ask(url, token).status_code == 401


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_the_public_key_does_not_sign_tokens(form: str, url: str, issuer: Issuer) -> None:
    public = issuer.keys["first"].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = pem if form == "pem" else public_jwk(issuer.keys["first"], None)["x"].encode()
    token = signed_with_secret({"alg": "HS256", "kid": "first"}, issuer.claims(), secret)
    assert ask(url, token).status_code == 401


def test_a_shared_secret_among_the_keys_does_not_sign_tokens(url: str, issuer: Issuer) -> None:
    secret = {"kty": "oct", "kid": "shared", "k": "c2VjcmV0", "alg": "HS256"}
    issuer.answers["/keys.json"].content["keys"].append(secret)
    token = signed_with_secret({"alg": "HS256", "kid": "shared"}, issuer.claims(), b"secret")
    assert ask(url, token).status_code == 401


def test_a_token_signed_by_another_key_is_refused(url: str, issuer: Issuer) -> None:
    stranger = Issuer(issuer.url, {"first": new_key()})
    assert ask(url, stranger.token()).status_code == 401


def test_a_key_in_the_header_is_ignored(url: str, issuer: Issuer) -> None:
    stranger = Issuer(issuer.url, {"first": new_key()})
    headers = {"jwk": public_jwk(stranger.keys["first"], "first"), "jku": "http://127.0.0.1:1/"}
    assert ask(url, stranger.token(headers=headers)).status_code == 401


def test_a_changed_token_is_refused(url: str, issuer: Issuer) -> None:
    reader = issuer.token(scope="layer:read").split(".")
    spender = issuer.token().split(".")
    assert ask(url, ".".join([spender[0], spender[1], reader[2]])).status_code == 401


def test_a_critical_header_that_is_unknown_is_refused(url: str, issuer: Issuer) -> None:
    token = issuer.token(headers={"crit": ["exp2"], "exp2": 1})
    assert ask(url, token).status_code == 401


@pytest.mark.parametrize("token", ["a.b", "a.b.c", "..", "e30.e30.", "x" * 9000 + ".e30.e30"])
def test_garbage_is_refused_without_asking_the_issuer(token: str, url: str, issuer: Issuer) -> None:
    assert ask(url, token).status_code == 401
    assert issuer.asked == []


@pytest.mark.parametrize(
    ("make_key", "algorithm"),
    [
        (partial(rsa.generate_private_key, 65537, 2048), "RS256"),
        (partial(rsa.generate_private_key, 65537, 2048), "PS512"),
        (partial(ec.generate_private_key, ec.SECP384R1()), "ES384"),
        (ed25519.Ed25519PrivateKey.generate, "EdDSA"),
    ],
    ids=["RS256", "PS512", "ES384", "EdDSA"],
)
def test_each_asymmetric_algorithm_is_accepted(
    make_key: Callable[[], PrivateKey], algorithm: str, url: str, issuer: Issuer
) -> None:
    issuer.keys["other"] = make_key()
    issuer.publish()
    assert ask(url, issuer.token(key="other", algorithm=algorithm)).status_code == 200


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "layer:read email"}, ["layer:read"]),
        ({"scope": "layer:spend"}, ["layer:read", "layer:spend"]),
        ({"scope": None, "scp": ["layer:read", 5]}, ["layer:read"]),
        ({"scope": None, "scp": "layer:read"}, ["layer:read"]),
    ],
    ids=["read", "spend", "scp list", "scp text"],
)
def test_scopes_are_read_from_scope_or_scp(
    claims: dict[str, Any], scopes: list[str], url: str, issuer: Issuer
) -> None:
    assert ask(url, issuer.token(**claims)).json()["scopes"] == scopes


@pytest.mark.parametrize("claims", [{"scope": None}, {"scope": "openid"}, {"scope": "LAYER:READ"}])
def test_a_token_without_our_scopes_is_told_which_one_it_needs(
    claims: dict[str, Any], url: str, issuer: Issuer
) -> None:
    answer = ask(url, issuer.token(**claims))
    assert answer.status_code == 403
    assert challenge(answer)["error"] == "insufficient_scope"
    assert challenge(answer)["scope"] == "layer:read"


def test_a_reader_who_spends_is_told_all_scopes_and_where_to_get_them(
    url: str, issuer: Issuer
) -> None:
    body = '{"method": "tools/call", "params": {"name": "execute_inference"}}'
    answer = ask(url, issuer.token(scope="layer:read"), body)
    assert answer.status_code == 403
    assert challenge(answer)["scope"] == "layer:read layer:spend"
    assert challenge(answer)["resource_metadata"] == METADATA_URL


def test_the_audience_can_be_set(issuer: Issuer) -> None:
    http = HttpSettings(oauth_issuer=issuer.url, oauth_audience="api://layer")
    with guarded_app(http) as url:
        assert ask(url, issuer.token(aud="api://layer")).status_code == 200
        assert ask(url, issuer.token()).status_code == 401


def test_limits_come_from_the_tokens_file_by_name(issuer: Issuer, tmp_path: Path) -> None:
    file, alice = tmp_path / "tokens.toml", caller_name(issuer.url, "alice", "agent")
    callers = {alice: {"max_price": 2}, "*": {"max_price": 1}}
    write_tokens(file, {}, callers=callers)
    http = HttpSettings(oauth_issuer=issuer.url, tokens_file=str(file))
    with guarded_app(http) as url:
        assert ask(url, issuer.token()).json()["max_price"] == 2
        assert ask(url, issuer.token(sub="bob")).json()["max_price"] == 1


def test_names_of_different_callers_differ() -> None:
    one, other = "https://one.example.com", "https://other.example.com"
    callers = [
        (one, "alice", "agent"),
        (other, "alice", "agent"),
        (one, None, "alice"),
        (one, "client/alice", "agent"),
        (one, "client%2Falice", "agent"),
        (one, "alice\n", "agent"),
        (one, "a" * 300, "agent"),
        (one, "a" * 301, "agent"),
    ]
    names = [caller_name(*caller) for caller in callers]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and name.isprintable() and " " not in name for name in names)
    assert all(":" in name and len(name) <= 140 for name in names)


def test_no_log_or_answer_repeats_a_token(
    url: str, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = [issuer.token(), issuer.token(exp=NOW - 9), issuer.token(scope=""), new_token()]
    with caplog.at_level(logging.DEBUG):
        answers = [ask(url, token) for token in tokens]
    ours = ("layer_mcp", "mcp", "uvicorn")
    logged = [one.getMessage() for one in caplog.records if one.name.startswith(ours)]
    said = [answer.text + str(answer.headers) for answer in answers]
    for token in tokens:
        # Each part, because a library could repeat only one.
        assert not any(part in text for part in token.split(".") for text in [*logged, *said])
