"""Record the outcomes of attempts in order, and keep those that can't be written yet."""

from collections.abc import Sequence
from functools import partial

import anyio

from .accounts import Account
from .databases.database import Connection, Database, DatabaseError
from .failures import log_failure
from .outcome import Outcome, outcome_as_line, write_outcome

# How long outcomes are set aside after a failed write, before the next attempt.
FAILING_SECONDS = 5.0


class Recorder:
    """The outcomes of one account's runs.

    An outcome that can't be written is set aside for the next attempt, or the next process.
    """

    def __init__(self, database: Database, account: Account) -> None:
        self._database = database
        self._account = account
        self._pending: list[Outcome] = []
        self._has_set_aside = False
        self._try_again_at = 0.0
        self._recording = anyio.Lock()

    @property
    def has_pending(self) -> bool:
        """Return whether outcomes are waiting for the journal to become writable."""
        return bool(self._pending)

    def has_run(self, run_id: str) -> bool:
        """Return whether a pending outcome is that of the run with this ID in lower case."""
        return any(outcome.run_id == run_id for outcome in self._pending)

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

    async def record_later(self, outcomes: Sequence[Outcome]) -> None:
        """Set outcomes aside without trying to write them now."""
        async with self._recording:
            self._pending += outcomes
            await self._set_aside()

    async def record_pending(self) -> list[Outcome]:
        """Record pending outcomes, oldest first, and return those that were written."""
        async with self._recording:
            return await self._write_pending()

    async def flush(self) -> None:
        """Record pending outcomes, so that a withdrawn run isn't taken for a duplicate."""
        if self._pending and anyio.current_time() >= self._try_again_at:
            await self.record_pending()

    async def _write_pending(self) -> list[Outcome]:
        written: list[Outcome] = []
        try:
            while self._pending:
                outcome = self._pending[0]
                if await self._database.write(partial(self._write, outcome)):
                    written.append(outcome)
                self._pending.remove(outcome)
        except DatabaseError as error:
            log_failure(error)
            self._try_again_at = anyio.current_time() + FAILING_SECONDS
        if self._pending or self._has_set_aside:
            await self._set_aside()
        return written

    async def _set_aside(self) -> None:
        lines = [outcome_as_line(self._account.name, outcome) for outcome in self._pending]
        self._has_set_aside = bool(lines)
        await self._database.set_aside(self, lines)

    def _write(self, outcome: Outcome, connection: Connection) -> bool:
        return write_outcome(
            connection,
            outcome,
            account=self._account.name,
            process_id=self._database.process_id,
        )
