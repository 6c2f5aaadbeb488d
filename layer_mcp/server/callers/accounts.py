"""The accounts that a server has open, one for each caller."""

import logging
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from ...credentials import TokenSource
from ...errors import LayerError
from ...runs.account import count_queued
from ...runs.activity import Submissions
from ...runs.journal.databases.database import DatabaseError
from ...runs.opening import Shared, open_account, open_shared
from ...runs.owners import Owner, name_in
from ...runs.sending.takeover import LOOK_SECONDS, find_left_accounts
from ...settings import Settings
from ..completion import CompletionCache
from ..context import App
from ..http.settings import Payer
from .caller import SEND_KEY, Caller, caller_of

MAX_OPEN = 256
# The owner of the runs of a caller that is known only by its key.
KEY_HOLDER = "key"

logger = logging.getLogger(__name__)


@dataclass
class _Account:
    """An account: its app or what prevented it, once it's `opened`, and the calls that use it."""

    app: App | None = None
    error: Exception | None = None
    calls: int = 0
    opened: anyio.Event = field(default_factory=anyio.Event)
    closing: anyio.Event = field(default_factory=anyio.Event)

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be interrupted or lost if it were closed."""
        return self.calls == 0 and self.app is not None and self.app.runs.are_idle


class Accounts:
    """The open accounts of a server.

    If the server pays, its callers share its Layer account, each with its own runs and limits. If
    the callers pay, each one uses the Layer account of its own key, and the server's daily limit
    applies to each by itself. At most `MAX_OPEN` idle accounts stay open.
    """

    def __init__(
        self,
        settings: Settings,
        payer: Payer,
        shared: Shared,
        submissions: Submissions,
        tasks: TaskGroup,
    ) -> None:
        self._settings = settings
        self._needs_key = payer == "caller"
        self._shared = shared
        self._submissions = submissions
        self._tasks = tasks
        # The least recently used first.
        self._accounts: dict[Hashable, _Account] = {}
        self._is_stopping = False

    @property
    def count(self) -> int:
        """The number of open accounts."""
        return len(self._accounts)

    @asynccontextmanager
    async def open(self, caller: Caller) -> AsyncGenerator[App]:
        """Yield the runs and caches of a caller, whose account stays open until the block ends."""
        key = _key_of(caller)
        account = self._accounts.pop(key, None) or self._start(key, caller)
        self._accounts[key] = account
        account.calls += 1
        try:
            self._close_idle()
            await account.opened.wait()
            if account.app is None:
                raise account.error or AssertionError("An account is open or has an error.")
            yield replace(account.app, caller=caller)
        finally:
            account.calls -= 1

    async def count_queued(self) -> int:
        """Return how many runs of all accounts wait to be sent; shows that the database answers.

        Raises:
            DatabaseError: the database can't be read, or doesn't keep runs.
        """
        return await count_queued(self._shared.database)

    def stop_waiting(self) -> None:
        """End the waits of all calls, including later ones, as if they had timed out."""
        self._is_stopping = True
        for account in self._accounts.values():
            if account.app is not None:
                account.app.runs.stop_waiting()

    async def open_left_accounts(self) -> None:
        """Open the accounts of callers whose work another server left, until cancelled.

        An open account takes over its own work. This can't open accounts with keys of callers.
        """
        while True:
            await anyio.sleep(LOOK_SECONDS)
            try:
                left = await find_left_accounts(
                    self._shared.database, with_downloads=self._settings.uses_disk
                )
            except DatabaseError as error:
                logger.debug("Can't look for accounts with work of other servers: %s", error)
                continue
            names = {name for account in left if (name := name_in(account)) is not None}
            for name in names:
                async with self.open(Caller(name)):
                    logger.info("Opened an account with work that another server left")

    def _start(self, key: Hashable, caller: Caller) -> _Account:
        account = _Account()
        self._tasks.start_soon(self._keep_open, key, account, caller)
        return account

    def _close_idle(self) -> None:
        """Close the least recently used idle accounts, until few enough are open."""
        excess = len(self._accounts) - MAX_OPEN
        if excess > 0:
            idle = [key for key, account in self._accounts.items() if account.is_idle]
            for key in idle[:excess]:
                self._accounts.pop(key).closing.set()

    async def _keep_open(self, key: Hashable, account: _Account, caller: Caller) -> None:
        """Keep an account open in a task, because its runs have background tasks."""
        try:
            await self._serve(account, caller)
        # One account must not stop the others.
        except Exception as error:
            logger.exception("An account failed")
            account.app, account.error = None, error
            if self._accounts.get(key) is account:
                del self._accounts[key]
        finally:
            account.opened.set()

    async def _serve(self, account: _Account, caller: Caller) -> None:
        settings, owner, token = self._settings, _owner_of(caller), None
        if self._needs_key:
            # The server's daily limit applies to each account by itself.
            owner = _owner_with_key(caller, settings)
            settings = replace(settings, api_token=None, max_spend_per_day=None)
            token = _key_source(caller)
        async with (
            open_account(
                settings,
                self._shared,
                Submissions(self._submissions),
                owner=owner,
                token=token,
                hand_over=True,
            ) as runs,
            anyio.create_task_group() as completing,
        ):
            if self._is_stopping:
                runs.stop_waiting()
            completions = CompletionCache(runs.client, completing)
            account.app = App(settings, runs, completions, needs_key=self._needs_key)
            account.opened.set()
            await account.closing.wait()
            completing.cancel_scope.cancel()


@asynccontextmanager
async def open_accounts(
    settings: Settings, submissions: Submissions | None, payer: Payer = "server"
) -> AsyncGenerator[Accounts]:
    """Open a server's accounts as they are needed, and close them when the block ends."""
    async with open_shared(settings) as shared, anyio.create_task_group() as tasks:
        accounts = Accounts(settings, payer, shared, submissions or Submissions(), tasks)
        if settings.database_url is not None and payer == "server":
            tasks.start_soon(accounts.open_left_accounts)
        try:
            yield accounts
        finally:
            tasks.cancel_scope.cancel()


async def use_account(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Give a request the account of its caller. This is middleware."""
    accounts: Accounts = ctx.lifespan_context
    async with accounts.open(caller_of(ctx.request)) as app:
        return await call_next(replace(ctx, lifespan_context=app))


def _key_of(caller: Caller) -> Hashable:
    """Return what separates a caller's account from others, without its Layer key.

    After its limits change, a caller has another account.
    """
    return caller.identity, caller.max_price, caller.max_spend_per_day


def _owner_of(caller: Caller) -> Owner | None:
    """Return the owner of a caller's runs in the server's Layer account."""
    if not caller.name:
        return None
    return Owner(caller.name, caller.max_price, caller.max_spend_per_day)


def _owner_with_key(caller: Caller, settings: Settings) -> Owner:
    """Return the owner of a caller's runs in the Layer account of its own key."""
    limits = (settings.max_spend_per_day, caller.max_spend_per_day)
    daily_limit = min((limit for limit in limits if limit is not None), default=None)
    name = caller.name or KEY_HOLDER
    return Owner(name, caller.max_price, daily_limit, brings_key=True)


def _key_source(caller: Caller) -> TokenSource:
    """Return the source of a caller's Layer key, which is never the server's."""

    def read() -> str:
        if caller.layer_key is None:
            sentence = "The request has no Layer key, and each caller pays with its own."
            raise LayerError("MISSING_TOKEN", sentence, next_step=SEND_KEY)
        return caller.layer_key

    return read
