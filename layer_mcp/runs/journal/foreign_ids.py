"""Find the files and sessions that belong to other owners of a Layer account."""

from collections.abc import Collection

from ..owners import is_in_layer_account
from .accounts import Account
from .databases.database import Connection


def find_foreign_files(
    connection: Connection, account: Account, file_ids: Collection[str]
) -> set[str]:
    """Return the IDs, in lower case, of files that only other owners uploaded or made.

    Files that nobody recorded aren't foreign.
    """
    wanted = tuple({file_id.lower() for file_id in file_ids})
    recorded = f"WHERE LOWER(file_id) IN ({', '.join('?' * len(wanted))})"
    rows = connection.execute(
        f"SELECT account, LOWER(file_id) AS file_id FROM outputs {recorded} "
        f"UNION SELECT account, LOWER(file_id) AS file_id FROM uploads {recorded}",
        (*wanted, *wanted),
    ).fetchall()
    shared = {
        row["file_id"] for row in rows if is_in_layer_account(row["account"], account.layer_account)
    }
    return shared - {row["file_id"] for row in rows if row["account"] == account.name}


def is_foreign_session(connection: Connection, account: Account, session_id: str) -> bool:
    """Return whether a session belongs only to other owners: their runs are in it, none of ours.

    An owner that only ever gave its ID doesn't own it: somebody may have made it in Layer's app for
    all owners.
    """
    # Quotes in a text would be escaped, so no prompt can contain this.
    fact = f'%"session_id": "{session_id.lower()}"%'
    rows = connection.execute(
        "SELECT account, MIN(CASE WHEN LOWER(request) LIKE ? THEN 1 ELSE 0 END) AS was_given "
        "FROM runs WHERE layer_account = ? AND LOWER(start) LIKE ? GROUP BY account",
        (fact, account.layer_account, fact),
    ).fetchall()
    was_given = {row["account"]: bool(row["was_given"]) for row in rows}
    return account.name not in was_given and not all(was_given.values())
