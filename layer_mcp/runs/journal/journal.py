"""Record every submission before it's sent, and its outcome afterwards.

A run goes from `queued` to `sending` right before its first byte is sent, and then to Layer's
status, to `unknown`, or to `not_sent`. However a process ends, the next one knows what was never
sent and what may have been charged. Every write requires an expected state, so a late write can't
move a run backwards.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from ..rules.prices import spending_error
from ..rules.rates import Blocked
from ..types.filters import RunFilter, RunTotals
from ..types.limits import RateLimits, Spending, SpendLimits
from ..types.plan import Quote
from ..types.request import RunRequest
from ..types.run import Run
from ..types.states import QUEUED, SENDING
from . import abandoned, duplicates, foreign_ids, listing, reservations, transitions, usage
from .accounts import Account, normalize_address
from .databases.database import Connection, Database, DatabaseError, Work
from .failures import attempt, log_failure, require, unavailable
from .files import RememberedFiles
from .outcome import Outcome
from .recorder import Recorder
from .reservations import Reservation
from .rows import select_first, select_shared
from .spending import read_spending

ResultT = TypeVar("ResultT")


class Journal:
    """The runs, outputs and uploads of one account, in one database.

    `account` separates callers, who never see each other's runs; it isn't secret. While it's
    unknown, it's empty, and no runs are found or recorded. Layer's limits count all accounts in
    `layer_account`, by default only this one. The daily limit of the settings counts all accounts
    at `api_url`, because it applies to this machine. With `is_required`, a run that can't be
    recorded isn't paid for.

    `outcomes` records what became of the attempts to send runs, and `files` remembers files.
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
        self._account = Account(
            account,
            account if layer_account is None else layer_account,
            normalize_address(api_url),
        )
        self._is_required = is_required
        self._clock = clock
        self.outcomes = Recorder(database, self._account)
        self.files = RememberedFiles(database, self._account, clock)

    @property
    def problem(self) -> str | None:
        """Why runs aren't kept after the process ends, if they should be; known after first use."""
        return self._database.problem

    @property
    def is_shared(self) -> bool:
        """Whether processes take over the queued runs of one that ended."""
        return self._database.is_shared

    def check(self) -> None:
        """Fail if recorded runs must be kept but can't be.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        if self._database.problem and self._is_required:
            raise unavailable(self._database.problem, self._database.fix)

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
        reserved: list[Reservation] = []

        def work(connection: Connection) -> list[Reservation]:
            now = self._clock()
            covering = [
                duplicates.find_duplicate(connection, self._account, one, now, repeat=repeat)
                for one in requests
            ]
            if None in covering:
                self.check()
                spent = read_spending(connection, self._account, now)
                error = spending_error(quote, limits, spent) if quote else None
                if error is not None:
                    raise error
            reserved[:] = reservations.reserve(
                connection,
                self._account,
                requests,
                prices=prices,
                covering=covering,
                rates=rates,
                batch_id=batch_id,
                process_id=self._database.process_id,
                clock=self._clock,
            )
            return reserved

        unrecorded = [
            Reservation(
                Run(request, QUEUED, datetime.now(UTC), estimated_price_creative_units=price),
                created=True,
            )
            for request, price in zip(requests, prices, strict=True)
        ]
        await self.outcomes.flush()
        return await self._decide(self._withdraw_uncertain(work, reserved), unrecorded)

    async def find_duplicate(self, request: RunRequest, *, repeat: bool = False) -> Run | None:
        """Return the run that already covers a request, if any.

        That run is being sent, has an unknown outcome, is running, or is younger than two minutes.
        With `repeat`, only a run that is being sent counts.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> Run | None:
            now = self._clock()
            return duplicates.find_duplicate(connection, self._account, request, now, repeat=repeat)

        await self.outcomes.flush()
        return await self._decide(self._recover_and(work), None)

    async def spending(self) -> Spending:
        """Return the spending that currently counts toward the price limits.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> Spending:
            return read_spending(connection, self._account, self._clock())

        return await self._decide(self._recover_and(work), Spending())

    async def acquire_slot(
        self, run: Run, rates: RateLimits, modality: dict[str, str]
    ) -> Blocked | None:
        """Give a queued run a slot within Layer's limits, or return what prevents it.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> Blocked | None:
            return usage.acquire_slot(
                connection,
                self._account,
                run,
                rates=rates,
                modality=modality,
                now=self._clock(),
            )

        return await self._decide(self._recover_and(work), None)

    async def mark_sending(self, run: Run) -> int | None:
        """Record that the first byte of a run is about to be sent, and return the attempt's number.

        Returns None if it must not be sent, because another process considers this one dead or is
        sending the run itself.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> int | None:
            process_id = self._database.process_id
            return transitions.mark_sending(connection, self._account, run, process_id)

        return await self._decide(self._database.write(work), run.attempt + 1)

    async def mark_ended(self, run: Run) -> None:
        """Record how a run of the Layer account ended. A failed run without a price was free."""

        def work(connection: Connection) -> None:
            transitions.mark_ended(connection, self._account, run)

        await attempt(self._database.write(work))

    async def mark_not_found(self, run_id: str) -> None:
        """Record that Layer no longer has a run of the Layer account."""

        def work(connection: Connection) -> None:
            transitions.mark_not_found(connection, self._account, run_id)

        await attempt(self._database.write(work))

    async def take_over_queued(self) -> list[Run]:
        """Take over the account's queued runs of ended processes, in order of submission.

        The caller has to send them. Each run is taken over by one process only.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> list[Run]:
            return abandoned.take_over_queued(connection, self._database, self._account)

        return await require(self._recover_and(work))

    async def withdraw_queued(self) -> None:
        """Record that this process won't send its queued runs, and that nobody else should."""

        def work(connection: Connection) -> None:
            abandoned.withdraw_queued(connection, self._account, self._database.process_id)

        await attempt(self._database.write(work))

    async def find(self, run_id: str) -> Run | None:
        """Return the run with this ID, if it was started here."""

        def work(connection: Connection) -> Run | None:
            newest = "run_id = ? ORDER BY sequence DESC"
            return select_first(connection, self._account, newest, run_id.lower())

        return await attempt(self._database.read(work))

    async def reload(self, run: Run) -> Run:
        """Reload a run of the Layer account, or return it unchanged if it isn't there."""

        def work(connection: Connection) -> Run | None:
            found = select_shared(connection, self._account, "key = ?", run.key)
            return found[0] if found else None

        return await attempt(self._database.read(work)) or run

    async def find_maker(self, file_id: str) -> Run | None:
        """Return the run that made a file, if its completion was recorded here.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        where = "key = (SELECT key FROM outputs WHERE account = runs.account AND file_id = ?)"

        def work(connection: Connection) -> Run | None:
            return select_first(connection, self._account, where, file_id.lower())

        return await require(self._database.read(work))

    async def is_recorded(self, run_id: str) -> bool:
        """Return whether the run with this ID is this account's.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        wanted = run_id.lower()
        # The ID may be known before it can be written.
        return self.outcomes.has_run(wanted) or await self._has("run_id = ?", wanted)

    async def is_sending(self) -> bool:
        """Return whether a run of this account is being sent, so its ID may not be recorded yet.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """
        return await self._has(f"state = '{SENDING}'")

    async def find_foreign_files(self, file_ids: Collection[str]) -> set[str]:
        """Return the files that only other owners of the Layer account uploaded or made.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> set[str]:
            self._account.require()
            return foreign_ids.find_foreign_files(connection, self._account, file_ids)

        return await require(self._database.read(work)) if file_ids else set()

    async def is_foreign_session(self, session_id: str) -> bool:
        """Return whether a session belongs only to other owners of the Layer account.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> bool:
            self._account.require()
            return foreign_ids.is_foreign_session(connection, self._account, session_id)

        return await require(self._database.read(work))

    async def list_runs(self, wanted: RunFilter, limit: int) -> list[Run]:
        """List runs, newest first.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> list[Run]:
            return listing.list_runs(connection, self._account, wanted, limit)

        return await require(self._recover_and(work))

    async def totals(self, wanted: RunFilter) -> RunTotals:
        """Return the number and the total prices of all matching runs.

        Raises:
            LayerError: JOURNAL_UNAVAILABLE.
        """

        def work(connection: Connection) -> RunTotals:
            return listing.read_totals(connection, self._account, wanted)

        return await require(self._database.read(work))

    async def _has(self, where: str, *values: str) -> bool:
        """Return whether a run of this account matches a condition."""

        def work(connection: Connection) -> bool:
            self._account.require()
            return select_first(connection, self._account, where, *values) is not None

        return await require(self._database.read(work))

    async def _recover_and(self, work: Work[ResultT]) -> ResultT:
        """Resolve what ended processes left behind, and do the work in the same transaction."""

        def recover_and_work(connection: Connection) -> ResultT:
            abandoned.recover_abandoned(connection, self._database)
            return work(connection)

        return await self._database.write(recover_and_work)

    async def _withdraw_uncertain(
        self, work: Work[list[Reservation]], reserved: Sequence[Reservation]
    ) -> list[Reservation]:
        """Record runs. If that's uncertain, withdraw them, because nobody is going to send them."""
        try:
            return await self._recover_and(work)
        except DatabaseError as error:
            if error.is_uncertain:
                created = [one.run for one in reserved if one.created]
                reason = unavailable(error)
                await self.outcomes.record_later([Outcome.not_sent(run, reason) for run in created])
            raise

    async def _decide(self, work: Awaitable[ResultT], fallback: ResultT) -> ResultT:
        """Return the journal's answer, or the fallback if it fails and isn't required."""
        try:
            result = await work
        except DatabaseError as error:
            if self._is_required:
                raise unavailable(error) from None
            log_failure(error)
            return fallback
        self.check()
        return result
