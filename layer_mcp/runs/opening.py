"""Open the runs of an account, and what several accounts share."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

import anyio

from ..api.client import LayerClient
from ..credentials import TokenSource, token_source
from ..files.paths import Folders
from ..settings import Settings
from .activity import BackgroundTasks, Submissions
from .journal.databases.database import Database
from .journal.databases.selection import select_database
from .owners import Owner
from .service import Runs


@dataclass(frozen=True)
class Shared:
    """What the accounts of a server share: the journal's database, and folders pinned at start."""

    database: Database
    folders: Folders


@asynccontextmanager
async def open_shared(settings: Settings) -> AsyncGenerator[Shared]:
    """Open what several accounts can share.

    Raises:
        SettingsError: the database rejects the settings.
    """
    with closing(select_database(settings)) as database:
        await database.open()
        yield Shared(database, Folders.pin(settings))


@asynccontextmanager
async def open_runs(
    settings: Settings | None = None,
    *,
    submissions: Submissions | None = None,
    owner: Owner | None = None,
) -> AsyncGenerator[Runs]:
    """Open an account's runs, by default the account in the environment.

    `submissions` lets a caller track paid requests. An `owner` shares the account with others, and
    sees only its own runs. When the block ends, it waits for paid requests in progress and records
    them. What is still queued isn't sent.

    Raises:
        SettingsError: a setting is invalid, the database rejects it, or a sandbox is required, but
            the API's address isn't one.
    """
    settings = settings or Settings.from_env()
    submissions = submissions or Submissions()
    async with (
        open_shared(settings) as shared,
        open_account(settings, shared, submissions, owner=owner) as runs,
    ):
        yield runs


@asynccontextmanager
async def open_account(
    settings: Settings,
    shared: Shared,
    submissions: Submissions,
    *,
    owner: Owner | None = None,
    token: TokenSource | None = None,
    hand_over: bool = False,
) -> AsyncGenerator[Runs]:
    """Open the runs of one of several accounts, as `open_runs` does.

    A `token` replaces the one in the settings or the keyring. With `hand_over` and a database that
    servers share, another server sends what is still queued when the block ends, and resumes
    downloads.
    """
    token = token or token_source(settings)
    failure: BaseException | None = None
    # Cancelled background tasks still record what they didn't send.
    async with (
        LayerClient.from_settings(settings, token) as client,
        anyio.create_task_group() as background,
    ):
        runs = Runs(
            settings,
            client,
            token,
            database=shared.database,
            folders=shared.folders,
            background=BackgroundTasks(background),
            submissions=submissions,
            owner=owner,
        )
        try:
            yield runs
        except anyio.get_cancelled_exc_class():
            raise
        # The task group would wrap an exception from this block in an ExceptionGroup.
        except BaseException as error:
            failure = error
        finally:
            background.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await submissions.wait()
                await runs.record_pending()
                if settings.database_url is not None and not hand_over:
                    await runs.withdraw_work()
    if failure is not None:
        raise failure
