"""Every submission: written down before it is sent, completed by what came of it.

A row goes from `intended` to `sending` right before its first byte leaves, and then to `confirmed`,
`unknown` or `not_sent`. So whatever ends a server, the next one knows what was never sent and what
may have been paid for.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from ..errors import LayerError
from .database import Database
from .entries import (
    Delivery,
    Intent,
    Outcome,
    Reservation,
    RunEntry,
    RunFilter,
    RunRecord,
    RunTotals,
    Spending,
    Traffic,
)
from .lenient import or_nothing
from .rows import STATE, conditions, entries, json_object
from .usage import spending, traffic

ObstacleT = TypeVar("ObstacleT")

MayGo = Callable[[Traffic], bool]
"""Whether Layer's limits have room for one more run."""

GONE = "not_found"
TWIN_SECONDS = 120
STOPPED = {"code": "SERVER_STOPPED", "message": "The server stopped before it was sent."}


class RunLog:
    """The submissions to one API address; `account` tells callers apart, and is no secret.

    Methods that stand between a call and its charge raise `sqlite3.Error`; the others leave a line
    in the log.
    """

    def __init__(
        self,
        database: Database,
        api_url: str,
        account: str | Callable[[], str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._api_url = api_url
        self._account_given = account
        self._clock = clock

    @property
    def _account(self) -> str:
        given = self._account_given
        return given if isinstance(given, str) else given()

    async def reserve(
        self,
        intents: Sequence[Intent],
        check: Callable[[Spending], None],
        *,
        repeat: bool = False,
        may_go: MayGo | None = None,
    ) -> list[Reservation]:
        """Write intents down, all or none; an intent with a twin gets its twin's row instead.

        A twin is on its way, of unknown outcome, running, or younger than two minutes. `check` is
        called only when something is new, and nothing is written when it raises. A new one for
        which `may_go` holds has its turn already; without it all have to wait in line.

        Raises:
            sqlite3.Error: nothing was written.
        """

        def work(connection: sqlite3.Connection) -> list[Reservation]:
            self._settle_the_dead(connection)
            twins = [self._twin(connection, intent, repeat=repeat) for intent in intents]
            if None in twins:
                check(spending(connection, self._api_url, self._clock()))
            return [
                Reservation(twin, is_new=False)
                if twin
                else self._insert(connection, intent, may_go)
                for intent, twin in zip(intents, twins, strict=True)
            ]

        return await self._database.write(work)

    async def spending(self) -> Spending:
        """What counts against the limits now.

        Raises:
            sqlite3.Error: the database cannot be used.
        """

        def work(connection: sqlite3.Connection) -> Spending:
            self._settle_the_dead(connection)
            return spending(connection, self._api_url, self._clock())

        return await self._database.write(work)

    async def twin(self, intent: Intent, *, repeat: bool = False) -> RunEntry | None:
        """The run that an intent would be answered with, as far as is known now.

        Raises:
            sqlite3.Error: the database cannot be used.
        """

        def work(connection: sqlite3.Connection) -> RunEntry | None:
            self._settle_the_dead(connection)
            return self._twin(connection, intent, repeat=repeat)

        return await self._database.write(work)

    async def take_turn(
        self, local_id: str, check: Callable[[Traffic], ObstacleT | None]
    ) -> ObstacleT | None:
        """Let a submission go now, or say what `check` finds in its way.

        Raises:
            sqlite3.Error: nothing was written.
        """
        sql = "SELECT workspace_id FROM runs WHERE local_id = ?"

        def work(connection: sqlite3.Connection) -> ObstacleT | None:
            self._settle_the_dead(connection)
            found = connection.execute(sql, (local_id,)).fetchone()
            obstacle = check(self._traffic(connection, found["workspace_id"] if found else ""))
            if obstacle is None:
                self._note_turn(connection, local_id)
            return obstacle

        return await self._database.write(work)

    async def note_sending(self, local_id: str) -> bool:
        """Write down that the first byte of a submission is about to leave.

        False when the journal says that it must not: another server took this one for dead.

        Raises:
            sqlite3.Error: nothing was written.
        """
        sql = (
            "UPDATE runs SET delivery = 'sending' "
            "WHERE local_id = ? AND delivery IN ('intended', 'sending')"
        )
        return await self._database.write(
            lambda connection: connection.execute(sql, (local_id,)).rowcount == 1
        )

    async def confirm(
        self, local_id: str, run_id: str, status: str, price: float | None, facts: dict[str, Any]
    ) -> None:
        """Write down what Layer answered to a submission.

        Raises:
            sqlite3.Error: nothing was written, or the submission is not there any more.
        """
        sql = (
            "UPDATE runs SET delivery = 'confirmed', run_id = ?, status = ?, facts = ?, "
            "estimated_price = coalesce(?, estimated_price), "
            "counted_price = max(counted_price, coalesce(?, 0)) WHERE local_id = ?"
        )
        values = (run_id.lower(), status, json.dumps(facts), price, price, local_id)

        def work(connection: sqlite3.Connection) -> None:
            if connection.execute(sql, values).rowcount != 1:
                raise sqlite3.IntegrityError("the run that was sent is not in the journal any more")

        await self._database.write(work)

    async def note_failure(self, local_id: str, delivery: Delivery, error: LayerError) -> None:
        """Write down that a submission was not sent, or that its outcome is unknown.

        Raises:
            sqlite3.Error: nothing was written.
        """
        outcome = Outcome(error={"code": error.code, "message": error.message})
        not_sent = delivery == "not_sent"
        run_id = (error.inference_id or error.run_id or "").lower() or None
        sql = (
            "UPDATE runs SET delivery = ?, outcome = ?, has_ended = ?, run_id = ?, "
            "counted_price = iif(?, 0, counted_price) WHERE local_id = ?"
        )
        values = (delivery, json.dumps(asdict(outcome)), not_sent, run_id, not_sent, local_id)
        await self._database.write(lambda connection: connection.execute(sql, values))

    async def put_back(self, local_id: str) -> None:
        """Put a submission that Layer refused without work back in line; its price still counts.

        Raises:
            sqlite3.Error: nothing was written.
        """
        sql = "UPDATE runs SET delivery = 'intended', slot_at = NULL WHERE local_id = ?"
        await self._database.write(lambda connection: connection.execute(sql, (local_id,)))

    async def note_end(
        self, run_id: str, status: str, price: float | None, outcome: Outcome, *, has_failed: bool
    ) -> None:
        """Write down how a run ended. A failed one without a price was not charged."""
        sql = (
            "UPDATE runs SET delivery = 'confirmed', status = ?, has_ended = 1, "
            "actual_price = ?, outcome = ?, "
            "counted_price = coalesce(?, counted_price) WHERE api_url = ? AND run_id = ?"
        )
        counted = 0.0 if price is None and has_failed else price
        text = json.dumps(asdict(outcome))
        values = (status, price, text, counted, self._api_url, run_id.lower())
        await or_nothing(self._database.write(lambda connection: connection.execute(sql, values)))

    async def note_folder(self, run_id: str, folder: Path) -> None:
        """Remember where a run's outputs are."""
        values = (self._api_url, run_id.lower(), str(folder))
        sql = "INSERT OR REPLACE INTO saved VALUES (?, ?, ?)"
        await or_nothing(self._database.write(lambda connection: connection.execute(sql, values)))

    async def record(self, run_id: str) -> RunRecord | None:
        """What is known of a run that was started or saved here."""
        where = (self._api_url, run_id.lower())

        def work(connection: sqlite3.Connection) -> RunRecord | None:
            runs = "SELECT facts, has_ended, status FROM runs WHERE api_url = ? AND run_id = ?"
            saved = "SELECT folder FROM saved WHERE api_url = ? AND run_id = ?"
            run = connection.execute(f"{runs} ORDER BY created_at DESC", where).fetchone()
            folder = connection.execute(saved, where).fetchone()
            if run is None and folder is None:
                return None
            return RunRecord(
                facts=json_object(run["facts"]) if run else {},
                folder=Path(folder["folder"]) if folder else None,
                is_known=run is not None,
                is_open=run is not None and (not run["has_ended"] or run["status"] == GONE),
            )

        return await or_nothing(self._database.read(work))

    async def known(self, entry: RunEntry) -> RunEntry:
        """What is known of an entry by now."""

        def work(connection: sqlite3.Connection) -> RunEntry | None:
            return self._one(connection, "local_id = ?", entry.local_id)

        return await or_nothing(self._database.read(work)) or entry

    async def listed(self, wanted: RunFilter, limit: int) -> list[RunEntry]:
        """Submissions, newest first.

        Raises:
            sqlite3.Error: the database cannot be used.
        """
        where, values = conditions(wanted, self._api_url)

        def work(connection: sqlite3.Connection) -> list[RunEntry]:
            self._settle_the_dead(connection)
            order = "ORDER BY created_at DESC, local_id DESC LIMIT ?"
            return entries(connection, f"{where} {order}", (*values, limit))

        return await self._database.write(work)

    async def totals(self, wanted: RunFilter) -> RunTotals:
        """What all runs of a filter come to, whatever fits on a page.

        Raises:
            sqlite3.Error: the database cannot be used.
        """
        where, values = conditions(wanted, self._api_url)
        sql = (
            f"SELECT count(*) AS runs, total({STATE} = 'running') AS running, "
            "total(iif(delivery = 'not_sent', 0, estimated_price)) AS estimated, "
            f"total(actual_price) AS spent FROM runs WHERE {where}"
        )

        def work(connection: sqlite3.Connection) -> RunTotals:
            row = connection.execute(sql, values).fetchone()
            estimated, spent = round(row["estimated"], 4), round(row["spent"], 4)
            return RunTotals(row["runs"], int(row["running"]), estimated, spent)

        return await self._database.read(work)

    def _settle_the_dead(self, connection: sqlite3.Connection) -> None:
        """Say of what an ended server left behind whether it was sent."""
        sql = "SELECT DISTINCT owner_id FROM runs WHERE delivery IN ('intended', 'sending')"
        owner = self._database.owner
        for [owner_id] in connection.execute(sql).fetchall():
            if owner.is_alive(owner_id):
                continue
            left = "owner_id = ? AND delivery ="
            connection.execute(
                f"UPDATE runs SET delivery = 'unknown' WHERE {left} 'sending'", (owner_id,)
            )
            outcome = json.dumps(asdict(Outcome(error=STOPPED)))
            connection.execute(
                "UPDATE runs SET delivery = 'not_sent', has_ended = 1, counted_price = 0, "
                f"outcome = ? WHERE {left} 'intended'",
                (outcome, owner_id),
            )
            owner.bury(owner_id)

    def _twin(
        self, connection: sqlite3.Connection, intent: Intent, *, repeat: bool
    ) -> RunEntry | None:
        """The equal run that stands in the way of another, if there is one.

        To `repeat` is to pay for another, but not twice for calls that come at the same moment.
        """
        # Not by time: a clock may be set back.
        equal = "account = ? AND fingerprint = ? AND {} ORDER BY rowid DESC"
        values = (self._account, intent.fingerprint)
        on_its_way = "delivery IN ('intended', 'sending')"
        if repeat:
            return self._one(connection, equal.format(on_its_way), *values)
        running = f"({on_its_way} OR (delivery = 'confirmed' AND NOT has_ended))"
        found = self._one(connection, equal.format(running), *values)
        if found is not None:
            return found
        newest = self._one(connection, equal.format("delivery != 'not_sent'"), *values)
        if newest is None:
            return None
        is_young = abs(self._clock() - newest.created_at) < TWIN_SECONDS
        return newest if is_young or newest.delivery == "unknown" else None

    def _insert(
        self,
        connection: sqlite3.Connection,
        intent: Intent,
        may_go: MayGo | None,
    ) -> Reservation:
        values: dict[str, Any] = {
            "local_id": uuid4().hex,
            "api_url": self._api_url,
            "account": self._account,
            "workspace_id": intent.workspace_id,
            "kind": intent.kind,
            "subject_id": intent.subject_id,
            "fingerprint": intent.fingerprint,
            "batch_id": intent.batch_id,
            "owner_id": self._database.owner.owner_id,
            "delivery": "intended",
            "created_at": self._clock(),
            "estimated_price": intent.estimated_price_creative_units,
            "counted_price": intent.estimated_price_creative_units or 0.0,
            "facts": json.dumps(intent.facts),
        }
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        connection.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", values)
        has_turn = may_go is not None and may_go(self._traffic(connection, intent.workspace_id))
        if has_turn:
            self._note_turn(connection, values["local_id"])
        [entry] = entries(connection, "local_id = ?", (values["local_id"],))
        return Reservation(entry, is_new=True, has_turn=has_turn)

    def _note_turn(self, connection: sqlite3.Connection, local_id: str) -> None:
        sql = "UPDATE runs SET slot_at = ? WHERE local_id = ?"
        connection.execute(sql, (self._clock(), local_id))

    def _traffic(self, connection: sqlite3.Connection, workspace_id: str) -> Traffic:
        return traffic(connection, self._api_url, self._account, workspace_id, self._clock())

    def _one(self, connection: sqlite3.Connection, condition: str, *values: str) -> RunEntry | None:
        where = f"api_url = ? AND {condition} LIMIT 1"
        found = entries(connection, where, (self._api_url, *values))
        return found[0] if found else None
