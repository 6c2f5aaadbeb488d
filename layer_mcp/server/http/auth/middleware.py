"""The ASGI application that serves only authenticated callers, and tells the server who calls."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, BearerAuthBackend
from mcp.server.auth.provider import TokenVerifier
from starlette.authentication import AuthenticationError
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ...callers.caller import CALLER_KEY
from .access_token import CallerAccessToken
from .challenge import (
    SEVERAL_HEADERS,
    TOKEN_IN_QUERY,
    Challenges,
    invalid_request,
    keys_unavailable,
)
from .spending import needs_spend, read_body

BEARER = re.compile(rb"bearer +[^ ]", re.IGNORECASE)
QUERY_NAMES = ("access_token", "token")


def require_caller(
    app: ASGIApp, verifier: TokenVerifier, challenges: Challenges, spending_tools: Collection[str]
) -> ASGIApp:
    """Return an application that serves only callers with a valid token and the scopes they need.

    A request's scope then has its caller, and the SDK's context its access token.
    """
    checked = AuthContextMiddleware(_ScopeCheck(app, challenges, spending_tools))
    authenticated = AuthenticationMiddleware(
        checked, backend=BearerAuthBackend(verifier), on_error=_answer_failure
    )

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _find_ambiguity(scope) if scope["type"] == "http" else None
        await (refusal or authenticated)(scope, receive, send)

    return serve


@dataclass(frozen=True)
class _ScopeCheck:
    app: ASGIApp
    challenges: Challenges
    spending_tools: Collection[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        user = scope.get("user")
        access = user.access_token if isinstance(user, AuthenticatedUser) else None
        if not isinstance(access, CallerAccessToken):
            is_given = any(BEARER.match(value) for value in _authorizations(scope))
            refusal = self.challenges.invalid_token() if is_given else self.challenges.no_token()
            await refusal(scope, receive, send)
            return
        caller = scope[CALLER_KEY] = access.caller
        if "layer:read" not in caller.scopes:
            await self.challenges.no_read_scope()(scope, receive, send)
            return
        if "layer:spend" not in caller.scopes:
            body, receive = await read_body(receive)
            if needs_spend(body, self.spending_tools):
                await self.challenges.no_spend_scope()(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _find_ambiguity(scope: Scope) -> Response | None:
    """Return the answer to a request whose token is in the URL, or that may have several."""
    names = {name.lower() for name, _ in parse_qsl(scope["query_string"], keep_blank_values=True)}
    if any(name.encode() in names for name in QUERY_NAMES):
        return invalid_request(TOKEN_IN_QUERY)
    return invalid_request(SEVERAL_HEADERS) if len(_authorizations(scope)) > 1 else None


def _authorizations(scope: Scope) -> list[bytes]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value for name, value in headers if name == b"authorization"]


def _answer_failure(_connection: HTTPConnection, _error: AuthenticationError) -> Response:
    return keys_unavailable()
