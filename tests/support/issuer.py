"""A small issuer of access tokens on loopback: its metadata, its keys, and its tokens."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .loopback_app import loopback_app

AUDIENCE = "https://mcp.example.com/mcp"
METADATA_PATH = "/.well-known/oauth-authorization-server"
JWKS_PATH = "/keys.json"

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass
class Answer:
    """What the issuer answers at a path."""

    content: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    delay_seconds: float = 0.0


@dataclass
class Issuer:
    """A running issuer. Tests change its keys and its `answers` by path."""

    url: str = ""
    keys: dict[str, PrivateKey] = field(default_factory=dict[str, PrivateKey])
    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    asked: list[str] = field(default_factory=list[str])

    def publish(self) -> None:
        """Answer with the metadata and the public keys, and forget who asked."""
        metadata = {"issuer": self.url, "jwks_uri": self.url + JWKS_PATH}
        self.answers[METADATA_PATH] = Answer(metadata)
        keys = [public_jwk(key, kid) for kid, key in self.keys.items()]
        self.answers[JWKS_PATH] = Answer({"keys": keys})
        self.asked.clear()

    def fetches(self) -> int:
        """Return how often the keys were fetched."""
        return self.asked.count(JWKS_PATH)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a valid token; None removes a claim."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "alice",
            "aud": AUDIENCE,
            "exp": now + 300,
            "iat": now,
            "client_id": "agent",
            "scope": "openid layer:read layer:spend",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        *,
        key: str = "first",
        headers: dict[str, Any] | None = None,
        algorithm: str = "ES256",
        **changes: Any,
    ) -> str:
        """Return a token signed with one of the keys."""
        given = {"kid": key, **(headers or {})}
        given = {name: value for name, value in given.items() if value is not None}
        return jwt.encode(self.claims(**changes), self.keys[key], algorithm, headers=given)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = Request(scope).url.path
        self.asked.append(path)
        answer = self.answers.get(path, Answer({}, 404))
        await asyncio.sleep(answer.delay_seconds)
        content = answer.content
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        await Response(body, answer.status, answer.headers)(scope, receive, send)


@contextmanager
def running_issuer() -> Generator[Issuer]:
    """Serve an issuer with one key until the block ends."""
    issuer = Issuer(keys={"first": new_key()})
    with loopback_app(issuer) as issuer.url:
        issuer.publish()
        yield issuer


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(key: PrivateKey, kid: str | None, **more: Any) -> dict[str, Any]:
    """Return the public part of a key as a JWK."""
    if isinstance(key, rsa.RSAPrivateKey):
        jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        jwk = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**jwk, **({"kid": kid} if kid else {}), **more}


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """Return a token with any header and signature."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def signed_with_secret(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    """Return a token with an HMAC, which no issuer of ours would sign."""
    signing_input = unsigned(header, claims).rpartition(".")[0]
    signature = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest()
    return unsigned(header, claims, signature)
