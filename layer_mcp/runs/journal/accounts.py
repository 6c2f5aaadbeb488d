"""Accounts: whose runs a journal keeps, and which Layer account a token belongs to."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from ...network import DEFAULT_PORTS, LOOPBACK_HOSTS
from ...settings import Settings
from .databases.database import Connection, Database, DatabaseError

TOKEN_DIGEST_LENGTH = 16
ANY_LOOPBACK = "127.0.0.1"
SANDBOX_ADDRESS = "http://sandbox"

ListWorkspaces = Callable[[], Awaitable[Collection[str] | None]]
"""Asks Layer for the IDs of the workspaces that the token can see; None if Layer refuses."""


@dataclass(frozen=True)
class Account:
    """The account whose runs a journal keeps; an empty name if it's unknown.

    Layer's limits count all accounts in `layer_account`. The daily limit of the settings counts all
    accounts at `address`.
    """

    name: str
    layer_account: str
    address: str

    def require(self) -> None:
        """Check that the account is known.

        Raises:
            DatabaseError: it isn't.
        """
        if not self.name:
            raise DatabaseError("the account is unknown", is_busy=True)


def address_of(settings: Settings) -> str:
    """Return the address whose runs are recorded; the sandbox's port changes with every start."""
    return SANDBOX_ADDRESS if settings.sandbox else settings.api_url


def normalize_address(api_url: str) -> str:
    """Return the normal spelling of an API URL, so that it has one account and one limit."""
    parts = urlsplit(api_url.strip())
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    if host in LOOPBACK_HOSTS or host.startswith("127."):
        host = ANY_LOOPBACK
    port = "" if parts.port in (None, DEFAULT_PORTS.get(scheme)) else f":{parts.port}"
    path = re.sub("/{2,}", "/", parts.path).rstrip("/")
    return f"{scheme}://{f'[{host}]' if ':' in host else host}{port}{path}"


def account_of(api_url: str, token: str) -> str:
    """Return the name of the account that a token would create; it doesn't reveal the token."""
    return f"{normalize_address(api_url)}#{_digest(token)}"


async def find_account(
    database: Database, api_url: str, token: str, list_workspaces: ListWorkspaces
) -> str:
    """Return the account of a token: an existing one whose workspaces it can see, or a new one.

    People renew their tokens, sometimes every hour. A new token takes over the account if Layer
    shows it every workspace of that account's runs. Layer is only asked if another token was used
    at this URL before.

    Raises:
        DatabaseError: the journal can't be used.
        LayerError: Layer can't be reached.
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
    """Return the workspaces used by each account at a URL, newest account first."""
    used: dict[str, set[str]] = {}
    rows = connection.execute(
        "SELECT layer_account, workspace_id, MAX(created_at) AS newest FROM runs "
        "WHERE api_url = ? GROUP BY layer_account, workspace_id ORDER BY newest DESC",
        (address,),
    ).fetchall()
    for row in rows:
        used.setdefault(row["layer_account"], set()).add(row["workspace_id"].lower())
    return used


def _note(connection: Connection, own: str, account: str) -> None:
    sql = "INSERT INTO tokens VALUES (?, ?) ON CONFLICT DO NOTHING"
    connection.execute(sql, (own, account))


def _digest(token: str) -> str:
    digest = hashlib.sha256(f"layer-mcp account {token}".encode()).hexdigest()
    return digest[:TOKEN_DIGEST_LENGTH]
