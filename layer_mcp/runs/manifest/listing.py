"""Find generated files through the journal's runs, or the records in a folder."""

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import ExitStack, aclosing, closing, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import groupby, islice
from pathlib import Path

from anyio import to_thread

from ...files.folders import OpenFolder, PrivateFolders, open_folder
from ..types.filters import RunFilter
from ..types.run import Run
from .describe import FoundRun, describe_all, is_wanted
from .records import find_records, read_record, walk_records
from .types import MadeFile

PAGE_RUNS = 100

ListRuns = Callable[[RunFilter, int], Awaitable[Sequence[Run]]]


async def list_made_files(
    list_runs: ListRuns,
    private: PrivateFolders,
    *,
    since: datetime | None = None,
    workspace_id: str | None = None,
    folder: Path | None = None,
    is_simulated: bool = False,
) -> AsyncGenerator[MadeFile]:
    """Yield the files of the journal's runs, newest first, or those with a record in a folder.

    Only a few runs are in memory at a time. A worker thread hashes every file whose size is
    unchanged; more threads would slow each other down.

    Raises:
        LayerError: JOURNAL_UNAVAILABLE; or INVALID_FOLDER, if the folder can't be read.
    """
    describe = partial(describe_all, private=private, is_simulated=is_simulated)
    since = since.astimezone(UTC) if since else None
    wanted = RunFilter(since=since, workspace_id=workspace_id)
    pages = (
        _pages_of_journal(list_runs, wanted, private)
        if folder is None
        else _pages_of_folder(list_runs, wanted, folder, private)
    )
    async with aclosing(pages):
        async for page in pages:
            for made in await to_thread.run_sync(describe, page):
                yield made


async def _pages_of_journal(
    list_runs: ListRuns, wanted: RunFilter, private: PrivateFolders
) -> AsyncGenerator[Sequence[FoundRun]]:
    """Yield the journal's finished runs with their records, page by page."""
    records = _Records(private)
    before: str | None = None
    while True:
        page = await list_runs(
            RunFilter(since=wanted.since, workspace_id=wanted.workspace_id, before=before),
            PAGE_RUNS,
        )
        made = [run for run in page if run.folder or (run.state == "complete" and run.outputs)]
        if made:
            yield await to_thread.run_sync(records.find, made)
        if len(page) < PAGE_RUNS:
            return
        before = page[-1].key


async def _pages_of_folder(
    list_runs: ListRuns, wanted: RunFilter, folder: Path, private: PrivateFolders
) -> AsyncGenerator[Sequence[FoundRun]]:
    """Yield the records in a folder with their runs in the journal, page by page."""
    with closing(walk_records(folder, private)) as records:
        while page := await to_thread.run_sync(list, islice(records, PAGE_RUNS)):
            ids = tuple({record.run_id for _, record in page})
            # A run that was retried may have several rows; the newest comes first.
            rows = await list_runs(RunFilter(run_ids=ids), len(ids) * 2)
            runs = {run.run_id: run for run in reversed(rows)}
            found = [FoundRun(runs.get(record.run_id), path, record) for path, record in page]
            yield [one for one in found if is_wanted(one, wanted)]


class _Records:
    """The records of the journal's runs. Each folder is listed only once."""

    def __init__(self, private: PrivateFolders) -> None:
        self._private = private
        self._names: dict[Path, Mapping[str, str]] = {}

    def find(self, runs: Sequence[Run]) -> list[FoundRun]:
        """Return runs with their records, if any."""
        found: list[FoundRun] = []
        for folder, group in groupby(runs, key=lambda run: run.folder):
            here = list(group)
            found += self._find_in(folder, here) if folder else map(FoundRun, here)
        return found

    def _find_in(self, folder: Path, runs: Iterable[Run]) -> Iterator[FoundRun]:
        with ExitStack() as stack:
            opened: OpenFolder | None = None
            with suppress(OSError, RuntimeError, ValueError):
                folder = folder.resolve()
                opened = stack.enter_context(open_folder(folder, self._private))
                if folder not in self._names:
                    self._names[folder] = find_records(opened)
            names = self._names.get(folder, {})
            for run in runs:
                name = names.get(run.run_id or "")
                record = read_record(opened, name) if opened and name else None
                yield FoundRun(run, folder, record)
