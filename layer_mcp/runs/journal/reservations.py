"""Record requests before they're sent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from ..types.limits import RateLimits
from ..types.request import RunRequest
from ..types.run import Run
from ..types.states import QUEUED
from .accounts import Account
from .databases.database import Connection
from .rows import request_as_text, select
from .usage import acquire_slot


@dataclass(frozen=True)
class Reservation:
    """A request's journal row: a new one, or that of the run that already covers it."""

    run: Run
    created: bool
    has_slot: bool = False


def reserve(
    connection: Connection,
    account: Account,
    requests: Sequence[RunRequest],
    *,
    prices: Sequence[float | None],
    covering: Sequence[Run | None],
    rates: RateLimits,
    batch_id: str | None,
    process_id: str,
    clock: Callable[[], float],
) -> list[Reservation]:
    """Record the requests that no run covers; `covering` has the runs that cover the others."""
    reservations: list[Reservation] = []
    for request, price, existing in zip(requests, prices, covering, strict=True):
        if existing is not None:
            reservations.append(Reservation(existing, created=False))
            continue
        now = clock()
        run = _insert(
            connection,
            account,
            request,
            price,
            batch_id=batch_id,
            process_id=process_id,
            now=now,
        )
        is_waiting = batch_id or acquire_slot(
            connection, account, run, rates=rates, modality={}, now=now
        )
        reservations.append(Reservation(run, created=True, has_slot=not is_waiting))
    return reservations


def _insert(
    connection: Connection,
    account: Account,
    request: RunRequest,
    price: float | None,
    *,
    batch_id: str | None,
    process_id: str,
    now: float,
) -> Run:
    account.require()
    values: dict[str, Any] = {
        "key": uuid4().hex,
        "api_url": account.address,
        "account": account.name,
        "layer_account": account.layer_account,
        "process_id": process_id,
        "workspace_id": request.workspace_id,
        "kind": request.kind,
        "subject_id": request.subject_id,
        "fingerprint": request.fingerprint,
        "copy_number": request.copy_number,
        "batch_id": batch_id,
        "state": QUEUED,
        # The precision of Python's datetime, so that `since` finds the run it was read from.
        "created_at": round(now, 6),
        "estimated_price": price,
        "counted_price": price or 0.0,
        "request": request_as_text(request),
    }
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    sequence = "SELECT COALESCE(MAX(sequence), 0) + 1 FROM runs WHERE account = ?"
    connection.execute(
        f"INSERT INTO runs ({names}, sequence) VALUES ({marks}, ({sequence}))",
        (*values.values(), account.name),
    )
    [run] = select(connection, account, "key = ?", values["key"])
    return run
