"""The access log: a line of JSON for each request.

A line has no query, headers or bodies, so it has no tokens, keys or prompts. Only the caller's name
and address come from outside. A line is ASCII, so neither can start another line.
"""

import ipaddress
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.types import Scope

from ..callers.caller import CALLER_KEY, Caller
from .exchange import OTHER, PROBE_PATHS, Exchange
from .settings import HTTP_PATH

MAX_NAME_LENGTH = 100
HTTP_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# A path below one of these can be secret, such as a signed link.
KNOWN_PATHS = (*PROBE_PATHS, HTTP_PATH, "/uploads", "/.well-known")


def write_to_stderr(line: str) -> None:
    """Write one line; a closed stderr must not fail a request or change how the server stops."""
    try:
        print(line, file=sys.stderr, flush=True)
    except BrokenPipeError:
        # The line is still buffered, and writing it again at exit would change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    except (OSError, ValueError):
        pass


@dataclass(frozen=True)
class AccessLog:
    """Writes a line for each request that has ended.

    With `trusts_proxy`, the client's address is the one that the proxy added last.
    """

    trusts_proxy: bool = False
    write: Callable[[str], None] = write_to_stderr

    def record(self, exchange: Exchange) -> None:
        """Write the line of a request that has ended, unless it's a successful probe."""
        if exchange.status == 200 and exchange.path in PROBE_PATHS:
            return
        self.write(json.dumps(self._facts(exchange), separators=(",", ":")))

    def _facts(self, exchange: Exchange) -> dict[str, Any]:
        scope = exchange.scope
        caller: Caller | None = scope.get(CALLER_KEY)
        facts: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "method": scope["method"] if scope["method"] in HTTP_METHODS else OTHER,
            "path": shown_path(exchange.path),
            "status": exchange.status or None,
            "duration_ms": round(exchange.seconds * 1000, 1),
            "bytes": exchange.sent_bytes,
            "client": client_address(scope, trusts_proxy=self.trusts_proxy),
            "caller": caller.name[:MAX_NAME_LENGTH] if caller and caller.name else None,
            "call": exchange.method,
            "tool": exchange.tool,
            "era": exchange.era,
            "outcome": exchange.outcome if exchange.method else None,
        }
        return {name: value for name, value in facts.items() if value is not None}


def shown_path(path: str) -> str:
    """Return a path of this server, without what may be secret below it."""
    for known in KNOWN_PATHS:
        if path == known:
            return known
        if path.startswith(known + "/"):
            return known + "/*"
    return OTHER


def client_address(scope: Scope, *, trusts_proxy: bool) -> str | None:
    """Return the IP address of the client, or of the proxy if its header isn't trusted or valid."""
    peer = _parse_address(scope["client"][0]) if scope["client"] else None
    if not trusts_proxy:
        return peer
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    values = {name: value.decode("latin-1") for name, value in headers}
    if (hops := values.get(b"x-forwarded-for")) is not None:
        return _parse_address(hops.rpartition(",")[2]) or peer
    if (hops := values.get(b"forwarded")) is not None:
        for pair in hops.rpartition(",")[2].split(";"):
            name, _, value = pair.strip().partition("=")
            if name.lower() == "for":
                return _parse_address(value.strip('"')) or peer
    return peer


def _parse_address(text: str) -> str | None:
    """Return an IP address in its usual form, without a port."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    # A listener for both kinds of addresses shows IPv4 ones this way.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
