"""Whose runs a token may see: an account is what Layer shows to a token, not the token."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Collection
from urllib.parse import urlsplit

from ...network import LOOPBACK_HOSTS
from .database import Connection, Database

TOKEN_DIGEST_LENGTH = 16
DEFAULT_PORTS = {"http": 80, "https": 443}
ANY_LOOPBACK = "127.0.0.1"

ListWorkspaces = Callable[[], Awaitable[Collection[str] | None]]
"""Asks Layer for the ids of the workspaces that it shows to the token; None if it refuses."""


def normalize_address(api_url: str) -> str:
    """Return one spelling for an API address, so that it is one account with one limit."""
    parts = urlsplit(api_url.strip())
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    if host in LOOPBACK_HOSTS or host.startswith("127."):
        host = ANY_LOOPBACK
    port = "" if parts.port in (None, DEFAULT_PORTS.get(scheme)) else f":{parts.port}"
    path = re.sub("/{2,}", "/", parts.path).rstrip("/")
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{port}{path}"


def account_of(api_url: str, token: str) -> str:
    """Return the name of an account that a token begins; it says nothing of the token."""
    return f"{normalize_address(api_url)}#{_digest(token)}"


async def find_account(
    database: Database, api_url: str, token: str, list_workspaces: ListWorkspaces
) -> str:
    """Return the account of a token: its own, or the one whose runs Layer shows to it.

    People renew their tokens, and some are renewed by the hour. A new one takes over the account
    whose runs are all in workspaces that Layer shows to it. Layer is asked only when another token
    was used at the address before.

    Raises:
        DatabaseError: the journal cannot be used.
        LayerError: Layer cannot be asked.
    """
    address, own = normalize_address(api_url), account_of(api_url, token)
    known = await database.read(lambda connection: _known(connection, own))
    if known is not None:
        return known
    accounts = await database.read(lambda connection: _accounts_at(connection, address))
    if not accounts or own in accounts:
        await database.write(lambda connection: _note(connection, own, own))
        return own
    workspaces = await list_workspaces()
    if workspaces is None:
        return own
    visible = {workspace_id.lower() for workspace_id in workspaces}
    shown = (account for account, used in accounts.items() if used <= visible)
    account = next(shown, own)
    await database.write(lambda connection: _note(connection, own, account))
    return account


def _known(connection: Connection, own: str) -> str | None:
    sql = "SELECT account FROM tokens WHERE token = ?"
    row = connection.execute(sql, (own,)).fetchone()
    return row["account"] if row else None


def _accounts_at(connection: Connection, address: str) -> dict[str, set[str]]:
    """Return the workspaces that each account at an address has used, the newest account first."""
    used: dict[str, set[str]] = {}
    rows = connection.execute(
        "SELECT account, workspace_id, MAX(created_at) AS newest FROM runs WHERE api_url = ? "
        "GROUP BY account, workspace_id ORDER BY newest DESC",
        (address,),
    ).fetchall()
    for row in rows:
        used.setdefault(row["account"], set()).add(row["workspace_id"].lower())
    return used


def _note(connection: Connection, own: str, account: str) -> None:
    sql = "INSERT INTO tokens VALUES (?, ?) ON CONFLICT DO NOTHING"
    connection.execute(sql, (own, account))


def _digest(token: str) -> str:
    digest = hashlib.sha256(f"layer-mcp account {token}".encode()).hexdigest()
    return digest[:TOKEN_DIGEST_LENGTH]
