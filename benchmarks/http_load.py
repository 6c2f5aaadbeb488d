"""Calls over HTTP: get_status beside a tool that does the same GET by hand.

The reference is a tool on an SDK server that sends the GET with httpx and returns its text. Each
round measures every server in a changing order, and the ratios are medians of rounds.
"""

import datetime
import json
import statistics
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from layer_mcp.access.token_file import hash_token

from .harness import QUICK_RUNS, running_http_server, running_sandbox_child
from .http_calls import (
    ToolCall,
    get_by_hand,
    get_by_hand_command,
    get_own_run,
    mixed_rates,
    our_http_server,
    repeat_call,
)
from .report import Row, calls_a_second, ms

LIMIT_SECONDS = 240
ROUNDS = 5
REFERENCE = "a GET by hand"
# The least share of the reference's calls a second.
AIMS = {"without authentication": 1.2, "with a static token": 1.15, "with a JWT": 1.1}


@dataclass(frozen=True)
class HttpRate:
    """Calls a second, and the time within which 99 of 100 calls are answered."""

    calls_per_second: float
    ms_99: float
    share_of_reference: float


@dataclass(frozen=True)
class HttpLoad:
    """The calls of each round, and the medians of the rounds by server."""

    calls: int
    by_server: dict[str, HttpRate]


def measure_http_load(calls: int) -> HttpLoad:
    """Make this many calls to each server in each round."""
    with (
        running_sandbox_child(*QUICK_RUNS, limit_seconds=LIMIT_SECONDS) as sandbox,
        _servers(sandbox.variables) as servers,
    ):
        kinds = {name: partial(repeat_call, call, calls) for name, call in servers.items()}
        rates = mixed_rates(kinds, ROUNDS)
    return HttpLoad(
        calls=calls,
        by_server={
            name: HttpRate(
                calls_per_second=rate.median,
                ms_99=statistics.quantiles(rate.elapsed_ms, n=100)[-1],
                share_of_reference=rate.median_share_of(rates[REFERENCE]),
            )
            for name, rate in rates.items()
        },
    )


def http_load_rows(load: HttpLoad) -> list[Row]:
    """Compare each way of authentication with the reference."""
    reference = load.by_server[REFERENCE]
    rows: list[Row] = []
    for name, aim in AIMS.items():
        rate = load.by_server[name]
        rows += [
            Row(
                measure=f"get_status over HTTP {name}",
                ours=rate.calls_per_second,
                shown=calls_a_second,
                reference=reference.calls_per_second,
                reference_name="a GET by hand, SDK alone",
                compared=f"{rate.share_of_reference:.2f} x",
                aim=f"at least {aim:.2f} x",
                is_met=rate.share_of_reference >= aim,
            ),
            Row(
                measure="  99th percentile",
                ours=rate.ms_99,
                shown=ms,
                reference=reference.ms_99,
                reference_name="a GET by hand, SDK alone",
                compared=f"{rate.ms_99 / reference.ms_99:.2f} x",
            ),
        ]
    return rows


@contextmanager
def _servers(variables: Mapping[str, str]) -> Generator[dict[str, ToolCall]]:
    """Start the servers, and yield the call that each of them gets."""
    token = token_urlsafe(32)
    with (
        TemporaryDirectory() as folder,
        _issuer() as (issuer, jwt_token),
        running_http_server(get_by_hand_command(), limit_seconds=LIMIT_SECONDS) as by_hand,
        our_http_server(variables, limit_seconds=LIMIT_SECONDS) as plain,
        our_http_server(
            variables,
            "--tokens-file",
            _tokens_file(Path(folder), token),
            limit_seconds=LIMIT_SECONDS,
        ) as with_token,
        our_http_server(
            variables,
            "--oauth-issuer",
            issuer,
            "--oauth-audience",
            "benchmarks",
            limit_seconds=LIMIT_SECONDS,
        ) as with_jwt,
    ):
        yield {
            REFERENCE: get_by_hand(by_hand.url, variables),
            "without authentication": get_own_run(plain.url),
            "with a static token": get_own_run(with_token.url, token),
            "with a JWT": get_own_run(with_jwt.url, jwt_token),
        }


def _tokens_file(folder: Path, token: str) -> str:
    path = folder / "tokens.toml"
    path.touch(mode=0o600)
    today = datetime.datetime.now(datetime.UTC).date()
    path.write_text(
        f'[tokens.benchmarks]\nsha256 = "{hash_token(token)}"\nscopes = ["layer:spend"]\n'
        f"created = {today}\n"
    )
    return str(path)


@contextmanager
def _issuer() -> Generator[tuple[str, str]]:
    """Publish the keys of an issuer of access tokens, and yield its URL and a token."""
    key = ec.generate_private_key(ec.SECP256R1())
    documents: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = documents.get(self.path)
            self.send_response(404 if document is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "1"}
        documents["/keys"] = {"keys": [public]}
        documents["/.well-known/oauth-authorization-server"] = {
            "issuer": url,
            "jwks_uri": f"{url}/keys",
        }
        now = int(time.time())
        claims = {
            "iss": url,
            "sub": "benchmarks",
            "client_id": "benchmarks",
            "aud": "benchmarks",
            "iat": now,
            "exp": now + LIMIT_SECONDS,
            "scope": "layer:spend",
        }
        try:
            yield url, jwt.encode(claims, key, "ES256", headers={"kid": "1"})
        finally:
            server.shutdown()
