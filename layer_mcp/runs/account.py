"""The journal of one account, opened once its token is known."""

import logging
from collections.abc import Collection, Sequence

import anyio
from anyio import to_thread

from ..api.client import LayerClient
from ..credentials import TokenSource
from ..errors import LayerError
from ..settings import Settings
from .journal import Journal, account_of, address_of, find_account
from .journal.databases.database import Connection, Database, DatabaseError
from .journal.rows import LIVE
from .owners import Owner
from .types.run import Run
from .types.states import QUEUED

MAX_CHECKED = 1_000

logger = logging.getLogger(__name__)


# The server that started it may wait for the database.
NOT_RECORDED_YET = "You have no recorded run with this ID, but one of yours is being recorded."
CALL_AGAIN = "Call again in a few seconds."


class AccountJournal:
    """Opens the account's journal at first use, because the token is read only then.

    An `owner` has its own account within that of the token.
    """

    def __init__(
        self,
        settings: Settings,
        client: LayerClient,
        database: Database,
        token: TokenSource,
        owner: Owner | None = None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._database = database
        self._token = token
        self._owner = owner
        self._checked: dict[str, None] = {}
        self._journal: Journal | None = None
        self._opening = anyio.Lock()

    @property
    def problem(self) -> str | None:
        """Why runs aren't kept after the process ends, if they should be; known after first use.

        The text doesn't end with a period.
        """
        problem, fix = self._database.problem, self._database.fix
        return f"{problem}. {fix.rstrip('.')}" if problem and fix else problem

    @property
    def has_pending(self) -> bool:
        """Whether anything isn't recorded yet."""
        return self._journal is not None and self._journal.outcomes.has_pending

    async def record_pending(self) -> None:
        """Write everything the journal couldn't record earlier, before the process ends."""
        if self._journal is not None and self._journal.outcomes.has_pending:
            await self._journal.outcomes.record_pending()

    async def withdraw_work(self) -> None:
        """Record that nobody should send or save what this process leaves."""
        if self._journal is not None:
            await self._journal.withdraw_queued()
            await self._journal.files.withdraw_downloads()

    async def open(self) -> Journal:
        """Return the account's journal. The first use reads the token."""
        if self._journal is not None:
            return self._journal
        async with self._opening:
            # Concurrent calls share one journal, because it holds the outcomes it couldn't write
            # yet.
            if self._journal is not None:
                return self._journal
            token = await to_thread.run_sync(self._token)
            account = await self._find_account(token) if token else ""
            owner = self._owner
            journal = Journal(
                self._database,
                api_url=address_of(self._settings),
                account=owner.account_in(account) if owner and account else account,
                layer_account=account,
                # Without a journal, a daily limit can't be enforced, nor owners kept apart. A
                # shared one is there to prevent paying twice.
                is_required=self._settings.journal == "required"
                or self._settings.max_spend_per_day is not None
                or self._settings.database_url is not None
                or owner is not None,
            )
            if account:
                self._journal = journal
            return journal

    async def check_owned(self, run: Run) -> None:
        """Fail if a run isn't the owner's, as if there were no such run.

        Without an owner, all runs of the Layer account are fine.

        Raises:
            LayerError: INFERENCE_NOT_FOUND, WORKFLOW_RUN_NOT_FOUND, JOURNAL_UNAVAILABLE, or
                SUBMISSION_UNDER_WAY if the run may only not be recorded yet.
        """
        run_id = (run.run_id or "").lower()
        if self._owner is None or not run_id or run_id in self._checked:
            return
        journal = await self.open()
        # In this order, a run that is recorded in between counts as recorded.
        is_sending = await journal.is_sending()
        if not await journal.is_recorded(run_id):
            if is_sending:
                raise LayerError("SUBMISSION_UNDER_WAY", NOT_RECORDED_YET, next_step=CALL_AGAIN)
            is_workflow = run.request.kind == "workflow"
            code = "WORKFLOW_RUN_NOT_FOUND" if is_workflow else "INFERENCE_NOT_FOUND"
            raise LayerError(code, "You have no run with this ID.")
        # A run never changes its owner.
        self._checked[run_id] = None
        while len(self._checked) > MAX_CHECKED:
            self._checked.pop(next(iter(self._checked)))

    async def check_files(self, file_ids: Collection[str]) -> None:
        """Fail if a file belongs to another owner, as if there were no such file.

        Raises:
            LayerError: FILE_NOT_FOUND or JOURNAL_UNAVAILABLE.
        """
        if self._owner is None:
            return
        foreign = await (await self.open()).find_foreign_files(file_ids)
        if foreign:
            raise LayerError("FILE_NOT_FOUND", f"There is no file {min(foreign)}.")

    async def check_session(self, session_id: str) -> None:
        """Fail if a session belongs to another owner, as if there were no such session.

        Raises:
            LayerError: SESSION_NOT_FOUND or JOURNAL_UNAVAILABLE.
        """
        if self._owner is None:
            return
        if await (await self.open()).is_foreign_session(session_id):
            raise LayerError("SESSION_NOT_FOUND", f"There is no session {session_id}.")

    async def _find_account(self, token: str) -> str:
        """Return the token's account, or an empty string if the journal can't tell.

        Raises:
            LayerError: Layer can't list the workspaces of a new token.
        """
        if self._owner is not None and self._owner.brings_key:
            return account_of(address_of(self._settings), token)
        try:
            return await find_account(
                self._database, address_of(self._settings), token, self._list_workspaces
            )
        except DatabaseError as error:
            logger.warning("The journal cannot be used: %s", error)
            return ""

    async def _list_workspaces(self) -> Sequence[str] | None:
        try:
            return [one.workspace_id for one in await self._client.list_workspaces()]
        except LayerError as error:
            if error.transient:
                raise
            return None


async def count_queued(database: Database) -> int:
    """Return how many runs in a database wait to be sent, whoever started them.

    Raises:
        DatabaseError: the database can't be read, or doesn't keep runs.
    """

    def work(connection: Connection) -> int:
        # The first condition is the one of an index.
        sql = f"SELECT COUNT(*) AS number FROM runs WHERE {LIVE} AND state = ?"  # noqa: S608
        return connection.execute(sql, [QUEUED]).fetchone()["number"]

    number = await database.read(work)
    if database.problem is not None:
        raise DatabaseError(database.problem)
    return number
