"""Add up what counts toward the price limits."""

from ..types.limits import Spending
from .accounts import Account
from .databases.database import Connection
from .rows import LIVE

DAY_SECONDS = 24 * 60 * 60


def read_spending(connection: Connection, account: Account, now: float) -> Spending:
    """Return the spending of the last day, and of the runs that are being sent."""
    since = now - DAY_SECONDS
    spent = (
        "SELECT COALESCE(SUM(counted_price), 0) AS price FROM runs WHERE {} = ? AND created_at > ?"
    )
    day = connection.execute(spent.format("api_url"), (account.address, since)).fetchone()
    # Few rows. With a condition on the URL, SQLite would read all runs at that URL.
    live = connection.execute(
        f"SELECT api_url, workspace_id, counted_price FROM runs WHERE {LIVE}"
    ).fetchall()
    in_flight: dict[str, float] = {}
    for row in live:
        if row["api_url"] == account.address:
            total = in_flight.get(row["workspace_id"], 0.0) + row["counted_price"]
            in_flight[row["workspace_id"]] = total
    if account.name == account.layer_account:
        return Spending(day["price"], in_flight)
    own_day = connection.execute(spent.format("account"), (account.name, since)).fetchone()
    return Spending(day["price"], in_flight, own_day["price"])
