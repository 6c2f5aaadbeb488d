"""Record every submission before it's sent, and its outcome afterwards.

A run goes from `queued` to `sending` right before its first byte is sent, and then to Layer's
status, to `unknown`, or to `not_sent`. However a process ends, the next one knows what was never
sent and what may have been charged. Every write requires an expected state, so a late write can't
move a run backwards.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import anyio

from ...errors import LayerError, one_sentence
from ..rules.duplicates import covers_new_call
from ..rules.prices import spending_error
from ..rules.rates import MINUTE_SECONDS, Blocked, find_block
from ..types.filters import RunFilter, RunTotals
from ..types.limits import RateLimits, Spending, SpendLimits, Submitted, Usage
from ..types.plan import Quote
from ..types.request import RunRequest
from ..types.run import Run, error_as_json, outputs_as_json
from ..types.states import NOT_FOUND, NOT_SENT, QUEUED, SENDING, UNKNOWN
from .accounts import normalize_address
from .databases.database import Connection, Database, DatabaseError, Work
from .foreign_ids import find_foreign_files, is_foreign_session
from .outcome import Outcome, outcome_as_line, outcome_from_line, write_outcome
from .reservations import Reservation
from .rows import ENDED, FOLDER, LIVE, STATUS, conditions, request_as_text, run_from_row

DAY_SECONDS = 24 * 60 * 60
# How long a run with an unknown outcome counts as active.
UNKNOWN_SECONDS = 300
# A run whose end was never seen must not hold a slot forever.
LONGEST_RUN_SECONDS = 3_600
# How long outcomes are set aside after a failed write, before the next attempt.
FAILING_SECONDS = 5.0
STOPPED = {"code": "SERVER_STOPPED", "message": "The server stopped before the run was sent."}
WAIT = "Another server is writing to it. Call again in a few seconds."
FREE_SPACE = "Free up space on the disk, then call again."

ResultT = TypeVar("ResultT")

logger = logging.getLogger(__name__)


class Journal:
    """The runs, outputs and uploads of one account, in one database.

    `account` separates callers, who never see each other's runs; it isn't secret. While it's
    unknown, it's empty, and no runs are found or recorded. Layer's limits count all accounts in
    `layer_account`, by default only this one. The daily limit of the settings counts all accounts
    at `api_url`, because it applies to this machine. With `is_required`, a run that can't be
    recorded isn't paid for.
    """

    def __init__(
        self,
        database: Database,
        *,
        api_url: str,
        account: str,
        layer_account: str | None = None,
        is_required: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._address = normalize_address(api_url)
        self._account = account
        self._layer_account = account if layer_account is None else layer_account
        self._is_required = is_required
        self._clock = clock
        self._pending: list[Outcome] = []
        self._has_set_aside = False
        self._try_again_at = 0.0
        self._recording = anyio.Lock()

    @property
    def problem(self) -> str | None:
        """Why runs aren't kept after the process ends, if they should be; known after first use."""
        return self._database.problem

    @property
    def is_shared(self) -> bool:
        """Whether processes take over the queued runs of one that ended."""
        return self._database.is_shared

    async def reserve(
        self,
        requests: Sequence[RunRequest],
        quote: Quote | None,
        limits: SpendLimits,
        rates: RateLimits,
        *,
        repeat: bool = False,
        batch_id: str | None = None,
    ) -> list[Reservation]:
        """Record requests if the limits allow all of them; a duplicate gets the earlier run.

        `quote` has the prices of the requests. A new run gets a slot immediately if Layer's limits
        allow it; runs in a batch always wait in the queue.

        Raises:
            LayerError: SPENDING_LIMIT_REACHED, INSUFFICIENT_BALANCE or JOURNAL_UNAVAILABLE;
                nothing was recorded.
        """
        prices = quote.prices if quote else [None] * len(requests)
        reservations: list[Reservation] = []

        def work(connection: Connection) -> list[Reservation]:
            self._recover_abandoned(connection)
            covering = [self._find_duplicate(connection, one, repeat=repeat) for one in requests]
            if None in covering:
                self.check()
                error = spending_error(quote, limits, self._spending(connection)) if quote else None
                if error is not None:
                    raise error
            for request, price, existing in zip(requests, prices, covering, strict=True):
                if existing is not None:
                    reservations.append(Reservation(existing, created=False))
                    continue
                run = self._insert(connection, request, price, batch_id)
                is_waiting = batch_id or self._acquire_slot(connection, run, rates, {})
                reservations.append(Reservation(run, created=True, has_slot=not is_waiting))
            return reservations

        unrecorded = [
            Reservation(
                Run(request, QUEUED, datetime.now(UTC), estimated_price_creative_units=price),
                created=True,
            )
            for request, price in zip(requests, prices, strict=True)
        ]
        await self._flush()
        return await self._require(self._reserve(work, reservations), unrecorded)

    async def find_duplicate(self, request: RunRequest, *, repeat: bool = False) -> Run | None:
        """Return the run that already covers a request, if any.

        That run is being sent, has an unknown outcome, is running, or is younger than two minutes.
        With `repeat`, only a run that is being sent counts.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> Run | None:
            self._recover_abandoned(connection)
            return self._find_duplicate(connection, request, repeat=repeat)

        await self._flush()
        return await self._require(self._database.write(work), None)

    async def spending(self) -> Spending:
        """Return the spending that currently counts toward the price limits.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> Spending:
            self._recover_abandoned(connection)
            return self._spending(connection)

        return await self._require(self._database.write(work), Spending())

    async def acquire_slot(
        self, run: Run, rates: RateLimits, modality: dict[str, str]
    ) -> Blocked | None:
        """Give a queued run a slot within Layer's limits, or return what prevents it.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> Blocked | None:
            self._recover_abandoned(connection)
            return self._acquire_slot(connection, run, rates, modality)

        return await self._require(self._database.write(work), None)

    async def mark_sending(self, run: Run) -> int | None:
        """Record that the first byte of a run is about to be sent, and return the attempt's number.

        Returns None if it must not be sent, because another process considers this one dead or is
        sending the run itself.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        sql = (
            f"UPDATE runs SET state = '{SENDING}', attempt = attempt + 1, process_id = ? "
            "WHERE account = ? AND key = ? "
            f"AND (state = '{QUEUED}' OR (state = '{SENDING}' AND process_id = ?))"
        )

        def work(connection: Connection) -> int | None:
            process_id = self._database.process_id
            values = (process_id, self._account, run.key, process_id)
            if connection.execute(sql, values).rowcount != 1:
                return None
            sent = self._first(connection, "key = ?", run.key)
            return sent.attempt if sent else None

        return await self._require(self._database.write(work), run.attempt + 1)

    async def take_over_queued(self) -> list[Run]:
        """Take over the account's queued runs of ended processes, in order of submission.

        The caller has to send them. Each run is taken over by one process only.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        owners = f"SELECT DISTINCT process_id FROM runs WHERE {LIVE} AND account = ?"
        waiting = f"state = '{QUEUED}' AND process_id = ?"
        take = f"UPDATE runs SET process_id = ?, slot_at = NULL WHERE account = ? AND {waiting}"

        def work(connection: Connection) -> list[Run]:
            self._recover_abandoned(connection)
            taken: list[Run] = []
            for row in connection.execute(owners, (self._account,)).fetchall():
                process_id = row["process_id"]
                if self._database.is_alive(connection, process_id):
                    continue
                taken += self._select(connection, f"{waiting} ORDER BY sequence", process_id)
                values = (self._database.process_id, self._account, process_id)
                connection.execute(take, values)
            return taken

        return await _read(self._database.write(work))

    async def withdraw_queued(self) -> None:
        """Record that this process won't send its queued runs, and that nobody else should."""
        sql = (
            f"UPDATE runs SET state = '{NOT_SENT}', counted_price = 0, error = ? "
            f"WHERE account = ? AND process_id = ? AND state = '{QUEUED}'"
        )

        def work(connection: Connection) -> None:
            process_id = self._database.process_id
            connection.execute(sql, (json.dumps(STOPPED), self._account, process_id))

        await self._attempt(self._database.write(work))

    async def record(self, outcome: Outcome) -> bool:
        """Record the outcome of an attempt, after all pending outcomes.

        Returns False if it wasn't recorded, because its row was removed or has moved on, or because
        the journal can't be written. It's then set aside for `record_pending` or the next process.
        """
        async with self._recording:
            self._pending.append(outcome)
            # Each write may wait for another process, and many in a row would take minutes.
            if self._has_set_aside and anyio.current_time() < self._try_again_at:
                await self._set_aside()
                return False
            return outcome in await self._write_pending()

    async def record_pending(self) -> list[Outcome]:
        """Record pending outcomes, oldest first, and return those that were written."""
        async with self._recording:
            return await self._write_pending()

    @property
    def has_pending(self) -> bool:
        """Return whether outcomes are waiting for the journal to become writable."""
        return bool(self._pending)

    async def mark_ended(self, run: Run) -> None:
        """Record how a run of the Layer account ended. A failed run without a price was free."""
        price = run.actual_price_creative_units
        counted = 0.0 if price is None and run.state == "failed" else price
        sql = (
            "UPDATE runs SET state = ?, actual_price = ?, error = ?, outputs = ?, "
            "counted_price = COALESCE(?, counted_price) "
            f"WHERE layer_account = ? AND run_id = ? AND (state = '{NOT_FOUND}' OR NOT {ENDED})"
        )
        run_id = (run.run_id or "").lower()
        outputs = outputs_as_json(run.outputs)
        values = (
            run.state,
            price,
            json.dumps(error_as_json(run.error)) if run.error else None,
            json.dumps(outputs) if outputs else None,
            counted,
            self._layer_account,
            run_id,
        )
        made = (
            "INSERT INTO outputs SELECT account, ?, key FROM runs "
            "WHERE layer_account = ? AND run_id = ? "
            "ON CONFLICT (account, file_id) DO UPDATE SET key = excluded.key"
        )

        def work(connection: Connection) -> None:
            if connection.execute(sql, values).rowcount == 0:
                return
            for output in run.outputs:
                if output.file_id:
                    file = (output.file_id.lower(), self._layer_account, run_id)
                    connection.execute(made, file)

        await self._attempt(self._database.write(work))

    async def mark_not_found(self, run_id: str) -> None:
        """Record that Layer no longer has a run of the Layer account."""
        sql = (
            f"UPDATE runs SET state = '{NOT_FOUND}' "
            f"WHERE layer_account = ? AND run_id = ? AND NOT {ENDED}"
        )
        values = (self._layer_account, run_id.lower())
        await self._attempt(
            self._database.write(lambda connection: connection.execute(sql, values))
        )

    async def note_folder(self, run_id: str, folder: Path) -> None:
        """Remember where a run's outputs are."""
        sql = (
            "INSERT INTO folders VALUES (?, ?, ?) "
            "ON CONFLICT (account, run_id) DO UPDATE SET folder = excluded.folder"
        )
        values = (self._account, run_id.lower(), str(folder))
        await self._attempt(
            self._database.write(lambda connection: connection.execute(sql, values))
        )

    async def find_folder(self, run_id: str) -> Path | None:
        """Return the folder of a run's outputs, even if the run wasn't started here."""
        sql = "SELECT folder FROM folders WHERE account = ? AND run_id = ?"
        values = (self._account, run_id.lower())

        def work(connection: Connection) -> Path | None:
            found = connection.execute(sql, values).fetchone()
            return Path(found["folder"]) if found else None

        return await self._attempt(self._database.read(work))

    async def find(self, run_id: str) -> Run | None:
        """Return the run with this ID, if it was started here."""

        def work(connection: Connection) -> Run | None:
            return self._first(connection, "run_id = ? ORDER BY sequence DESC", run_id.lower())

        return await self._attempt(self._database.read(work))

    async def is_recorded(self, run_id: str) -> bool:
        """Return whether the run with this ID is this account's.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        wanted = run_id.lower()
        # The ID may be known before it can be written.
        if any(outcome.run_id == wanted for outcome in self._pending):
            return True

        def work(connection: Connection) -> bool:
            self._require_account()
            return self._first(connection, "run_id = ?", wanted) is not None

        return await _read(self._database.read(work))

    async def is_sending(self) -> bool:
        """Return whether a run of this account is being sent, so its ID may not be recorded yet.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> bool:
            self._require_account()
            return self._first(connection, f"state = '{SENDING}'") is not None

        return await _read(self._database.read(work))

    async def find_foreign_files(self, file_ids: Collection[str]) -> set[str]:
        """Return the files that only other owners of the Layer account uploaded or made.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> set[str]:
            self._require_account()
            return find_foreign_files(connection, file_ids, self._account, self._layer_account)

        return await _read(self._database.read(work)) if file_ids else set()

    async def is_foreign_session(self, session_id: str) -> bool:
        """Return whether a session belongs only to other owners of the Layer account.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> bool:
            self._require_account()
            return is_foreign_session(connection, session_id, self._account, self._layer_account)

        return await _read(self._database.read(work))

    async def reload(self, run: Run) -> Run:
        """Reload a run of the Layer account, or return it unchanged if it isn't there."""

        def work(connection: Connection) -> Run | None:
            found = self._select_shared(connection, "key = ?", run.key)
            return found[0] if found else None

        return await self._attempt(self._database.read(work)) or run

    async def list_runs(self, wanted: RunFilter, limit: int) -> list[Run]:
        """List runs, newest first.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        where, values = conditions(wanted, self._account)

        def work(connection: Connection) -> list[Run]:
            self._recover_abandoned(connection)
            order = "ORDER BY created_at DESC, key DESC LIMIT ?"
            return self._select(connection, f"{where} {order}", *values, limit)

        return await _read(self._database.write(work))

    async def totals(self, wanted: RunFilter) -> RunTotals:
        """Return the number and the total prices of all matching runs.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        where, values = conditions(wanted, self._account)
        sql = (
            "SELECT COUNT(*) AS count, "
            f"COALESCE(SUM(CASE WHEN {STATUS} = 'running' THEN 1 ELSE 0 END), 0) AS running, "
            f"COALESCE(SUM(CASE WHEN state = '{NOT_SENT}' THEN 0 ELSE estimated_price END), 0.0) "
            "AS estimated, COALESCE(SUM(actual_price), 0.0) AS spent "
            f"FROM runs WHERE account = ? AND {where}"
        )

        def work(connection: Connection) -> RunTotals:
            row = connection.execute(sql, (self._account, *values)).fetchone()
            return RunTotals(
                row["count"], row["running"], round(row["estimated"], 4), round(row["spent"], 4)
            )

        return await _read(self._database.read(work))

    async def find_maker(self, file_id: str) -> Run | None:
        """Return the run that made a file, if its completion was recorded here.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        where = "key = (SELECT key FROM outputs WHERE account = runs.account AND file_id = ?)"

        def work(connection: Connection) -> Run | None:
            return self._first(connection, where, file_id.lower())

        return await _read(self._database.read(work))

    async def find_upload(self, workspace_id: str, sha256: str) -> str | None:
        """Return the file_id of content that was already uploaded, if any."""
        values = (self._account, workspace_id, sha256)
        return await self._attempt(
            self._database.read(lambda connection: _find_upload(connection, values))
        )

    async def find_contents(self, workspace_id: str, file_ids: Collection[str]) -> dict[str, str]:
        """Return the SHA-256 of each file whose content is known, by ID."""
        marks = ", ".join("?" * len(file_ids))
        sql = (
            "SELECT file_id, sha256 FROM uploads "
            f"WHERE account = ? AND workspace_id = ? AND file_id IN ({marks})"
        )
        values = (self._account, workspace_id, *file_ids)

        def work(connection: Connection) -> dict[str, str]:
            rows = connection.execute(sql, values).fetchall()
            return {row["file_id"]: row["sha256"] for row in rows}

        return (await self._attempt(self._database.read(work)) if file_ids else None) or {}

    async def note_upload(self, workspace_id: str, sha256: str, file_id: str) -> str:
        """Remember the content of a file in Layer, and return the first file with that content.

        Two processes that upload the same file at the same time then use the same ID.
        """
        content = (self._account, workspace_id, sha256)
        sql = "INSERT INTO uploads VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"

        def work(connection: Connection) -> str | None:
            connection.execute(sql, (*content, file_id, self._clock()))
            return _find_upload(connection, content)

        return await self._attempt(self._database.write(work)) or file_id

    async def forget_upload(self, workspace_id: str, sha256: str) -> None:
        """Forget a file that Layer no longer has."""
        sql = "DELETE FROM uploads WHERE account = ? AND workspace_id = ? AND sha256 = ?"
        values = (self._account, workspace_id, sha256)
        await self._attempt(
            self._database.write(lambda connection: connection.execute(sql, values))
        )

    def check(self) -> None:
        """Fail if recorded runs must be kept but can't be.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        if self._database.problem and self._is_required:
            raise _unavailable(self._database.problem, self._database.fix)

    async def _reserve(
        self, work: Work[list[Reservation]], reservations: list[Reservation]
    ) -> list[Reservation]:
        """Record runs. If that's uncertain, withdraw them, because nobody is going to send them."""
        try:
            return await self._database.write(work)
        except DatabaseError as error:
            if error.is_uncertain:
                created = [one.run for one in reservations if one.created]
                async with self._recording:
                    self._pending += [Outcome.not_sent(run, _unavailable(error)) for run in created]
                    await self._set_aside()
            raise

    async def _flush(self) -> None:
        """Record pending outcomes, so that a withdrawn run isn't taken for a duplicate."""
        if self._pending and anyio.current_time() >= self._try_again_at:
            await self.record_pending()

    async def _write_pending(self) -> list[Outcome]:
        written: list[Outcome] = []
        try:
            while self._pending:
                outcome = self._pending[0]
                if await self._database.write(partial(self._write_outcome, outcome)):
                    written.append(outcome)
                self._pending.remove(outcome)
        except DatabaseError as error:
            logger.warning("The journal can't be used: %s", error)
            self._try_again_at = anyio.current_time() + FAILING_SECONDS
        if self._pending or self._has_set_aside:
            await self._set_aside()
        return written

    async def _set_aside(self) -> None:
        lines = [outcome_as_line(self._account, outcome) for outcome in self._pending]
        self._has_set_aside = bool(lines)
        await self._database.set_aside(self, lines)

    def _write_outcome(self, outcome: Outcome, connection: Connection) -> bool:
        return write_outcome(
            connection, outcome, account=self._account, process_id=self._database.process_id
        )

    async def _require(self, work: Awaitable[ResultT], fallback: ResultT) -> ResultT:
        """Return the journal's answer, or the fallback if it fails and isn't required."""
        try:
            result = await work
        except DatabaseError as error:
            if self._is_required:
                raise _unavailable(error) from None
            logger.warning("The journal can't be used: %s", error)
            return fallback
        self.check()
        return result

    async def _attempt(self, work: Awaitable[ResultT]) -> ResultT | None:
        """Return the answer of an optional record; log a failure and return None."""
        try:
            return await work
        # ValueError: a path with bytes that aren't text.
        except (DatabaseError, ValueError) as error:
            logger.warning("The journal can't be used: %s", error)
            return None

    def _recover_abandoned(self, connection: Connection) -> None:
        """Resolve submissions left behind by processes that are no longer running.

        Their queued runs weren't sent, unless another process is going to take them over. Other
        accounts are included, because their prices count for this machine.
        """
        sql = f"SELECT DISTINCT process_id FROM runs WHERE {LIVE}"
        for row in connection.execute(sql).fetchall():
            process_id = row["process_id"]
            if self._database.is_alive(connection, process_id):
                continue
            for line in self._database.read_set_aside(process_id):
                if (known := outcome_from_line(line)) is not None:
                    account, outcome = known
                    write_outcome(connection, outcome, account=account, process_id=process_id)
            where = f"WHERE process_id = ? AND {LIVE} AND state ="
            connection.execute(
                f"UPDATE runs SET state = '{UNKNOWN}' {where} '{SENDING}'", (process_id,)
            )
            if not self._database.is_abandoned(connection, process_id):
                continue
            connection.execute(
                f"UPDATE runs SET state = '{NOT_SENT}', counted_price = 0, error = ? "
                f"{where} '{QUEUED}'",
                (json.dumps(STOPPED), process_id),
            )
            self._database.remove_process(connection, process_id)

    def _find_duplicate(
        self, connection: Connection, request: RunRequest, *, repeat: bool
    ) -> Run | None:
        fingerprints = [request.fingerprint]
        if request.files:
            # Their content may have been unknown when the earlier run was recorded.
            fingerprints.append(replace(request, files={}).fingerprint)
        for fingerprint in fingerprints:
            found = self._find_covering(connection, fingerprint, repeat=repeat)
            if found is not None:
                return found
        return None

    def _find_covering(
        self, connection: Connection, fingerprint: str, *, repeat: bool
    ) -> Run | None:
        # Ordered by sequence, not by time, because clocks may be set back.
        equal = "fingerprint = ? AND {} ORDER BY sequence DESC"
        if repeat:
            return self._first(connection, equal.format(LIVE), fingerprint)
        unfinished = f"NOT {ENDED} AND state != '{UNKNOWN}'"
        found = self._first(connection, equal.format(unfinished), fingerprint)
        if found is not None:
            return found
        newest = self._first(connection, equal.format(f"state != '{NOT_SENT}'"), fingerprint)
        if newest is None or not covers_new_call(newest, self._clock()):
            return None
        return newest

    def _insert(
        self, connection: Connection, request: RunRequest, price: float | None, batch_id: str | None
    ) -> Run:
        self._require_account()
        last = connection.execute(
            "SELECT MAX(sequence) AS last FROM runs WHERE account = ?", (self._account,)
        ).fetchone()["last"]
        values: dict[str, Any] = {
            "key": uuid4().hex,
            "sequence": (last or 0) + 1,
            "api_url": self._address,
            "account": self._account,
            "layer_account": self._layer_account,
            "process_id": self._database.process_id,
            "workspace_id": request.workspace_id,
            "kind": request.kind,
            "subject_id": request.subject_id,
            "fingerprint": request.fingerprint,
            "copy_number": request.copy_number,
            "batch_id": batch_id,
            "state": QUEUED,
            # The precision of Python's datetime, so that `since` finds the run it was read from.
            "created_at": round(self._clock(), 6),
            "estimated_price": price,
            "counted_price": price or 0.0,
            "request": request_as_text(request),
        }
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", tuple(values.values()))
        [run] = self._select(connection, "key = ?", values["key"])
        return run

    def _require_account(self) -> None:
        if not self._account:
            raise DatabaseError("the account is unknown", is_busy=True)

    def _acquire_slot(
        self, connection: Connection, run: Run, rates: RateLimits, modality: dict[str, str]
    ) -> Blocked | None:
        usage = self._usage(connection, run.request.workspace_id)
        blocked = find_block(usage, rates, run.request.model_id, modality)
        if blocked is None:
            connection.execute(
                f"UPDATE runs SET slot_at = ? WHERE account = ? AND key = ? AND {LIVE}",
                (self._clock(), self._account, run.key),
            )
        return blocked

    def _spending(self, connection: Connection) -> Spending:
        since = self._clock() - DAY_SECONDS
        spent = (
            "SELECT COALESCE(SUM(counted_price), 0) AS price FROM runs "
            "WHERE {} = ? AND created_at > ?"
        )
        day = connection.execute(spent.format("api_url"), (self._address, since)).fetchone()
        # Few rows. With a condition on the URL, SQLite would read all runs at that URL.
        live = connection.execute(
            f"SELECT api_url, workspace_id, counted_price FROM runs WHERE {LIVE}"
        ).fetchall()
        in_flight: dict[str, float] = {}
        for row in live:
            if row["api_url"] == self._address:
                total = in_flight.get(row["workspace_id"], 0.0) + row["counted_price"]
                in_flight[row["workspace_id"]] = total
        if self._account == self._layer_account:
            return Spending(day["price"], in_flight)
        own_day = connection.execute(spent.format("account"), (self._account, since)).fetchone()
        return Spending(day["price"], in_flight, own_day["price"])

    def _usage(self, connection: Connection, workspace_id: str) -> Usage:
        """Return what counts toward Layer's limits; skip future runs, as clocks can be set back."""
        now = self._clock()
        active = self._select_shared(
            connection,
            f"workspace_id = ? AND slot_at BETWEEN ? AND ? AND NOT {ENDED} "
            f"AND (state != '{UNKNOWN}' OR slot_at > ?) ORDER BY slot_at",
            workspace_id,
            now - LONGEST_RUN_SECONDS,
            now,
            now - UNKNOWN_SECONDS,
        )
        minute = connection.execute(
            "SELECT kind, subject_id, ? - slot_at AS age FROM runs WHERE layer_account = ? "
            f"AND slot_at > ? AND slot_at <= ? AND state != '{NOT_SENT}' ORDER BY slot_at",
            (now, self._layer_account, now - MINUTE_SECONDS, now),
        ).fetchall()
        starts = [Submitted(row["kind"], row["subject_id"], row["age"]) for row in minute]
        return Usage(active, starts)

    def _first(self, connection: Connection, where: str, *values: Any) -> Run | None:
        found = self._select(connection, f"{where} LIMIT 1", *values)
        return found[0] if found else None

    def _select(self, connection: Connection, where: str, *values: Any) -> list[Run]:
        return _select(connection, f"account = ? AND {where}", self._account, *values)

    def _select_shared(self, connection: Connection, where: str, *values: Any) -> list[Run]:
        """Return runs of all owners of the Layer account, which no answer may show."""
        return _select(connection, f"layer_account = ? AND {where}", self._layer_account, *values)


def _select(connection: Connection, where: str, *values: Any) -> list[Run]:
    rows = connection.execute(f"SELECT runs.*, {FOLDER} FROM runs WHERE {where}", values).fetchall()
    return [run_from_row(row) for row in rows]


def _find_upload(connection: Connection, key: tuple[str, str, str]) -> str | None:
    sql = (
        "SELECT file_id FROM uploads WHERE account = ? AND workspace_id = ? AND sha256 = ? "
        "ORDER BY noted_at, file_id LIMIT 1"
    )
    row = connection.execute(sql, key).fetchone()
    return row["file_id"] if row else None


async def _read(work: Awaitable[ResultT]) -> ResultT:
    try:
        return await work
    except DatabaseError as error:
        raise _unavailable(error) from None


def _unavailable(problem: DatabaseError | str, fix: str | None = None) -> LayerError:
    """Return the error for a journal that can't be written or read."""
    sentence = one_sentence(f"The journal of runs can't be used: {problem}")
    if isinstance(problem, DatabaseError):
        fix = problem.fix or (WAIT if problem.is_busy else FREE_SPACE if problem.is_full else None)
    return LayerError("JOURNAL_UNAVAILABLE", sentence, next_step=fix, person_step=fix)
