"""Refuse requests that may come from a page of another site, are too large, or aren't served."""

from collections.abc import Iterable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .hosts import AllowedHosts
from .limits import MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADERS
from .settings import HTTP_PATH


def guard(app: ASGIApp, allowed: AllowedHosts) -> ASGIApp:
    """Return an application that refuses requests that may come from a page of another site.

    A browser names that site in Origin, or in Host if the site's name leads to this server. The
    endpoint serves only POST: the SDK would keep a stream open for messages that a stateless server
    never sends.
    """

    async def check(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        # Redirecting a URL with a slash at the end would turn https into http behind a proxy.
        if scope["path"] == HTTP_PATH + "/":
            scope["path"] = HTTP_PATH
        refusal = _find_refusal(scope, allowed)
        if refusal is None:
            await app(scope, receive, send)
        else:
            status, text = refusal
            headers = {"Allow": "POST"} if status == 405 else {}
            # Closing the connection while the body arrives would lose the response.
            if status != 413:
                headers["Connection"] = "close"
            response = PlainTextResponse(text, status, headers)
            await response(scope, receive, send)

    return check


def _find_refusal(scope: Scope, allowed: AllowedHosts) -> tuple[int, str] | None:
    if len(scope["headers"]) > MAX_HEADERS or _size(scope) > MAX_HEADER_BYTES:
        return 431, "The headers are too large"
    # An absolute URL would replace the host from the header.
    if not scope["raw_path"].startswith(b"/"):
        return 400, "Invalid request target"
    # A proxy that believes the other one would see another request in the body.
    if _values(scope, b"content-length") and _values(scope, b"transfer-encoding"):
        return 400, "Send Content-Length or Transfer-Encoding, not both"
    refusal = _find_other_site(scope, allowed)
    if refusal is None and scope["path"] == HTTP_PATH:
        return _find_unserved(scope)
    return refusal


def _find_other_site(scope: Scope, allowed: AllowedHosts) -> tuple[int, str] | None:
    hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
    if len(hosts) != 1 or not allowed.allow_host(hosts[0]):
        return 421, _explain_host(allowed)
    if origins and (len(origins) > 1 or not allowed.allow_origin(origins[0], hosts[0])):
        return 403, "Invalid Origin header"
    return None


def _find_unserved(scope: Scope) -> tuple[int, str] | None:
    if scope["method"] != "POST":
        return 405, "Method Not Allowed"
    if any(int(value) > MAX_BODY_BYTES for value in _values(scope, b"content-length")):
        return 413, "The request body is too large"
    return None


def _size(scope: Scope) -> int:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    target = len(scope["raw_path"]) + len(scope["query_string"])
    return target + sum(len(name) + len(value) for name, value in headers)


def _values(scope: Scope, name: bytes) -> list[bytes]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value for key, value in headers if key == name]


def _explain_host(allowed: AllowedHosts) -> str:
    if allowed.public_url is not None:
        return f"Invalid Host header: this server is {allowed.public_url}"
    if allowed.allows_addresses:
        return "Invalid Host header: to allow a name, start the server with --public-url"
    return "Invalid Host header"
