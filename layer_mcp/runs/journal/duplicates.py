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
    equal = "fingerprint = ?"
    # By sequence, not by time, because clocks may be set back.
    newest_first = "sequence DESC"
    if repeat:
        live = f"{equal} AND {LIVE} ORDER BY {newest_first}"
        return select_first(connection, account, live, fingerprint)
    unfinished = f"(NOT {ENDED} AND state != '{UNKNOWN}')"
    sent = f"{equal} AND state != '{NOT_SENT}' ORDER BY {unfinished} DESC, {newest_first}"
    found = select_first(connection, account, sent, fingerprint)
    return found if found and (not found.has_ended or covers_new_call(found, now)) else None
