"""Find the run that already covers a request, so that nothing is paid for twice."""

from dataclasses import replace

from ..rules.duplicates import covers_new_call
from ..types.request import RunRequest
from ..types.run import Run
from ..types.states import NOT_SENT, UNKNOWN
from .accounts import Account
from .databases.database import Connection
from .rows import ENDED, LIVE, select_first


def find_duplicate(
    connection: Connection, account: Account, request: RunRequest, now: float, *, repeat: bool
) -> Run | None:
    """Return the run that covers a request, if any; with `repeat`, only one that is being sent."""
    fingerprints = [request.fingerprint]
    if request.files:
        # Their content may have been unknown when the earlier run was recorded.
        fingerprints.append(replace(request, files={}).fingerprint)
    for fingerprint in fingerprints:
        found = _find_covering(connection, account, fingerprint, now, repeat=repeat)
        if found is not None:
            return found
    return None


def _find_covering(
    connection: Connection, account: Account, fingerprint: str, now: float, *, repeat: bool
) -> Run | None:
    # Ordered by sequence, not by time, because clocks may be set back.
    equal = "fingerprint = ? AND {} ORDER BY sequence DESC"
    if repeat:
        return select_first(connection, account, equal.format(LIVE), fingerprint)
    unfinished = f"NOT {ENDED} AND state != '{UNKNOWN}'"
    found = select_first(connection, account, equal.format(unfinished), fingerprint)
    if found is not None:
        return found
    sent = f"state != '{NOT_SENT}'"
    newest = select_first(connection, account, equal.format(sent), fingerprint)
    return newest if newest is not None and covers_new_call(newest, now) else None
