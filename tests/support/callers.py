"""Tokens files for tests, and an application that answers who calls it."""

import datetime
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import tomlkit
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.types import JSONRPCError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from layer_mcp.access.token_file import hash_token
from layer_mcp.server.callers.caller import caller_of
from layer_mcp.server.http.auth.setup import open_authentication
from layer_mcp.server.http.serve import add_routes
from layer_mcp.server.http.settings import HttpSettings

from .loopback_app import loopback_app

TODAY = datetime.date(2026, 1, 31)
READ, SPEND = ["layer:read"], ["layer:read", "layer:spend"]
SPENDING_TOOLS = frozenset({"execute_inference"})


def new_token() -> str:
    return secrets.token_urlsafe(32)


def entry(token: str, scopes: list[str] = SPEND, **more: Any) -> dict[str, Any]:
    """Return a token's table."""
    return {"sha256": hash_token(token), "scopes": scopes, "created": TODAY, **more}


def write_tokens(path: Path, tokens: dict[str, Any], **tables: Any) -> None:
    """Replace a tokens file, as an editor does."""
    part = path.with_suffix(".part")
    part.write_text(tomlkit.dumps({"tokens": tokens, **tables}))
    part.chmod(0o600)
    part.replace(path)


async def answer_caller(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer who calls, and what the SDK knows of the token."""
    request = Request(scope, receive)
    caller, access = caller_of(request), get_access_token()
    content = {
        "name": caller.name,
        "scopes": list(caller.scopes),
        "max_price": caller.max_price,
        "max_spend_per_day": caller.max_spend_per_day,
        "body": (await request.body()).decode(),
        "client_id": access.client_id if access else None,
        "access": repr(access),
    }
    await JSONResponse(content)(scope, receive, send)


@contextmanager
def guarded_app(http: HttpSettings, server_url: str = "https://mcp.example.com") -> Generator[str]:
    """Serve `answer_caller` to the callers that these settings accept; yield its URL."""
    authentication = open_authentication(http, server_url)
    app = authentication.protect(answer_caller, SPENDING_TOOLS)
    with loopback_app(add_routes(app, authentication.routes())) as url:
        yield url


def ask(
    url: str,
    token: str | None = None,
    body: str = "{}",
    *,
    query: str = "",
    headers: Sequence[tuple[str, str]] = (),
) -> httpx.Response:
    """POST to the endpoint, with a token if there is one."""
    given = [] if token is None else [("Authorization", f"Bearer {token}")]
    with httpx.Client(trust_env=False) as http:
        return http.post(f"{url}/mcp{query}", content=body, headers=[*given, *headers])


def challenge(answer: httpx.Response) -> dict[str, str]:
    """Return the parameters of the WWW-Authenticate header."""
    scheme, _, rest = answer.headers["www-authenticate"].partition(" ")
    assert scheme == "Bearer"
    pairs = (part.split("=", 1) for part in rest.split(", "))
    return {name: value.strip('"') for name, value in pairs}


def message_of(answer: httpx.Response) -> str:
    """Return what a client shows of a refusal."""
    return JSONRPCError.model_validate_json(answer.content).error.message
