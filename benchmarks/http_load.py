"""Calls over HTTP, ten at a time: get_status beside a tool that does the same GET by hand.

The reference is a tool on an SDK server that sends the GET with httpx and returns its text. Each
round measures every server in a changing order, and the ratios are medians of rounds.
"""

import datetime
import json
import random
import statistics
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from layer_mcp import InferenceRequest, Settings
from layer_mcp.access.token_file import hash_token

from .harness import (
    IMAGE_MODEL_ID,
    QUICK_RUNS,
    finished_run,
    running_http_server,
    running_sandbox_child,
    script_command,
    server_command,
)
from .report import Row, calls_a_second, ms

LIMIT_SECONDS = 240
AT_A_TIME = 10
ROUNDS = 5
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2025-11-25",
}
REFERENCE = "a GET by hand"
# The least share of the reference's calls a second.
AIMS = {"without authentication": 1.2, "with a static token": 1.15, "with a JWT": 1.1}


@dataclass(frozen=True)
class Endpoint:
    """A server that is called: its URL, the message, and the caller's token if it needs one."""

    url: str
    message: dict[str, Any]
    token: str | None = None


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
        _servers(sandbox.variables) as endpoints,
    ):
        return anyio.run(_measure, endpoints, calls)


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
def _servers(variables: Mapping[str, str]) -> Generator[dict[str, Endpoint]]:
    settings = Settings.from_env(variables)
    request = InferenceRequest(model_id=IMAGE_MODEL_ID, batch_size=1, width=64, height=64)
    run_id = anyio.run(finished_run, settings, request).inference_id
    url = f"{settings.api_url}/v1/workspaces/{settings.workspace}/inferences/{run_id}"
    by_hand = _call("get", {"url": url, "token": settings.api_token})
    token = token_urlsafe(32)
    with (
        TemporaryDirectory() as folder,
        _issuer() as (issuer, jwt_token),
        running_http_server(
            [*script_command("sdk_server.py", "--get"), "--http"], limit_seconds=LIMIT_SECONDS
        ) as reference,
        _our_server(variables) as plain,
        _our_server(variables, "--tokens-file", _tokens_file(Path(folder), token)) as with_token,
        _our_server(
            variables, "--oauth-issuer", issuer, "--oauth-audience", "benchmarks"
        ) as with_jwt,
    ):
        yield {
            REFERENCE: Endpoint(reference, by_hand),
            "without authentication": _with_own_run(plain),
            "with a static token": _with_own_run(with_token, token),
            "with a JWT": _with_own_run(with_jwt, jwt_token),
        }


def _with_own_run(url: str, token: str | None = None) -> Endpoint:
    """Make a run, because a caller can't read those of others, and return how to read it."""
    arguments = {"model_id": IMAGE_MODEL_ID, "prompt": "a potion", "batch_size": 1}
    size = {"width": 64, "height": 64, "wait_seconds": 20}
    starting = Endpoint(url, _call("execute_inference", arguments | size), token)
    with httpx.Client(headers=_headers(starting), trust_env=False, timeout=60) as http:
        answer = http.post(url, json=starting.message)
    [line] = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    run = json.loads(line.removeprefix("data: "))["result"]["structuredContent"]
    # A preview would cost more GETs.
    status = {"inference_id": run["inference_id"], "wait_seconds": 0, "preview": False}
    return Endpoint(url, _call("get_status", status), token)


@contextmanager
def _our_server(variables: Mapping[str, str], *options: str) -> Generator[str]:
    command = server_command("serve", "--http", "--port", "0", *options)
    # Nobody reads the access log here, so the server would block once the pipe is full.
    quiet = {**variables, "LAYER_DRAIN_SECONDS": "0", "LAYER_ACCESS_LOG": "0"}
    with running_http_server(command, limit_seconds=LIMIT_SECONDS, variables=quiet) as url:
        yield url


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


def _call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def _headers(endpoint: Endpoint) -> dict[str, str]:
    return HEADERS | ({"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {})


async def _measure(endpoints: Mapping[str, Endpoint], calls: int) -> HttpLoad:
    rates: dict[str, list[float]] = {name: [] for name in endpoints}
    times_ms: dict[str, list[float]] = {name: [] for name in endpoints}
    order, chance = list(endpoints), random.Random(0)
    with anyio.fail_after(LIMIT_SECONDS):
        for round_number in range(-1, ROUNDS):
            chance.shuffle(order)
            for name in order:
                began = time.perf_counter()
                elapsed_ms = await _call_at_once(endpoints[name], calls)
                # The first round is a warm-up.
                if round_number >= 0:
                    rates[name].append(calls / (time.perf_counter() - began))
                    times_ms[name] += elapsed_ms
    return HttpLoad(
        calls=calls,
        by_server={
            name: HttpRate(
                calls_per_second=statistics.median(rates[name]),
                ms_99=statistics.quantiles(times_ms[name], n=100)[-1],
                share_of_reference=statistics.median(
                    ours / reference
                    for ours, reference in zip(rates[name], rates[REFERENCE], strict=True)
                ),
            )
            for name in endpoints
        },
    )


async def _call_at_once(endpoint: Endpoint, calls: int) -> list[float]:
    """Call a few at a time, and return how long each call took, in milliseconds."""
    headers = _headers(endpoint)
    content = json.dumps(endpoint.message).encode()
    elapsed_ms: list[float] = []
    left = calls

    async def work(http: httpx.AsyncClient) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            began = time.perf_counter()
            answer = await http.post(endpoint.url, content=content)
            elapsed_ms.append((time.perf_counter() - began) * 1000)
            if answer.status_code != 200 or b'"isError":true' in answer.content:
                raise RuntimeError(f"A call failed: {answer.status_code} {answer.text[:300]}")

    headers["Content-Type"] = "application/json"
    async with (
        httpx.AsyncClient(headers=headers, trust_env=False, timeout=60) as http,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(AT_A_TIME):
            tasks.start_soon(work, http)
    return elapsed_ms
