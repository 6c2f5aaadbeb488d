"""Find the files that belong to other owners of a Layer account."""

from collections.abc import Collection

from ..owners import is_in_layer_account
from .database import Connection


def find_foreign_files(
    connection: Connection, file_ids: Collection[str], account: str, layer_account: str
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
    shared = {row["file_id"] for row in rows if is_in_layer_account(row["account"], layer_account)}
    return shared - {row["file_id"] for row in rows if row["account"] == account}
