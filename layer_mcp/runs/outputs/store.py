"""The saved files of an account's runs: download them once, in the background, and find them."""

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from ...api.client import LayerClient
from ...errors import LayerError
from ...files.local_files import MEGABYTE
from ...files.paths import Folders, resolve_below, resolve_output
from ..activity import BackgroundTasks, KeyedLocks
from ..journal import Journal
from ..journal.files import Download
from ..types.run import Run
from .background import SavingJob, SavingJobs
from .names import check_name
from .record import Arriving, FilesOnDisk, SavedOutputs, find_saved
from .save import MAX_FILES_AT_ONCE, MAX_MEASURED_AT_ONCE, OnBytes, SaveOptions, save_outputs

logger = logging.getLogger(__name__)


class OutputStore:
    """Saves outputs in the output folder, and finds them again.

    `check_owned` refuses the runs of others, and `read_again` reads a run with current URLs.
    """

    def __init__(
        self,
        folders: Folders,
        client: LayerClient,
        open_journal: Callable[[], Awaitable[Journal]],
        background: BackgroundTasks,
        *,
        check_owned: Callable[[Run], Awaitable[None]],
        read_again: Callable[[Run], Awaitable[Run]],
    ) -> None:
        self._check_owned = check_owned
        self._read_again = read_again
        self._folders = folders
        self._client = client
        self._open_journal = open_journal
        self._background = background
        self._jobs = SavingJobs(background)
        self._locks = KeyedLocks()
        self._slots = anyio.Semaphore(MAX_FILES_AT_ONCE)
        self._measuring = anyio.CapacityLimiter(MAX_MEASURED_AT_ONCE)

    async def save(
        self,
        run: Run,
        folder: Path | None,
        *,
        numbers: Collection[int] | None = None,
        name: str | None = None,
        seconds: float | None = None,
        on_bytes: OnBytes | None = None,
    ) -> SavedOutputs:
        """Save outputs, waiting for a limited time; see `Runs.save`."""
        name = check_name(name) if name is not None else run.request.name
        await self._check_owned(run)
        folder = await self._find_folder(run, folder)
        wanted = frozenset(numbers or range(1, len(run.outputs) + 1))
        job = self._jobs.start(
            ((run.run_id or "").lower(), folder, wanted, name),
            partial(self._save, run, folder, wanted, name),
        )
        saved = await job.wait(seconds, on_bytes)
        return saved or await self._describe_unfinished(job, run, folder, wanted)

    async def save_once(
        self,
        run: Run,
        folder: Path | None,
        *,
        seconds: float | None = None,
        on_bytes: OnBytes | None = None,
    ) -> FilesOnDisk:
        """Save outputs of a run that were never saved; see `Runs.save_once`."""
        try:
            saved = await self._save_missing(run, folder, seconds, on_bytes)
        except LayerError as error:
            warning = f"The files were not saved: {error.message} {error.next_step}"
            return FilesOnDisk(warnings=[warning])
        except Exception:
            logger.exception("Saving run %s crashed", run.run_id)
            warning = "The files were not saved because of a bug in the server."
            return FilesOnDisk(warnings=[warning])
        return await to_thread.run_sync(FilesOnDisk.of, saved)

    async def resume_downloads(self) -> None:
        """Resume in the background the account's downloads that other servers left."""
        if not self._folders.settings.uses_disk:
            return
        for download in await (await self._open_journal()).files.take_over_downloads():
            logger.info("Resuming to save run %s for a server that stopped", download.run_id)
            self._background.start_soon(self._resume, download)

    async def _save_missing(
        self, run: Run, folder: Path | None, seconds: float | None, on_bytes: OnBytes | None
    ) -> SavedOutputs:
        await self._check_owned(run)
        folder = await self._find_folder(run, folder)
        earlier = await self._find_saved(run, folder)
        known = {file.number for file in earlier.files} if earlier else set[int]()
        missing = set(range(1, len(run.outputs) + 1)) - known
        if earlier is not None and not missing:
            return earlier
        return await self.save(run, folder, numbers=missing, seconds=seconds, on_bytes=on_bytes)

    async def _resume(self, download: Download) -> None:
        """Resume a download. A failure is only logged, because nobody waits for it."""
        try:
            known = await (await self._open_journal()).find(download.run_id)
            if known is not None:
                run = await self._read_again(known)
                await self.save(run, download.folder, numbers=download.numbers, name=download.name)
        except LayerError as error:
            logger.warning("Can't resume saving run %s: %s", download.run_id, error)
        except Exception:
            logger.exception("Resuming to save run %s crashed", download.run_id)

    async def _save(
        self, run: Run, folder: Path, numbers: Collection[int], name: str | None, on_bytes: OnBytes
    ) -> SavedOutputs:
        settings = self._folders.settings
        run_id = run.run_id or ""
        journal = await self._open_journal()
        options = SaveOptions(
            self._folders.private(),
            settings.max_download_mb * MEGABYTE,
            name=name,
            is_simulated=settings.sandbox,
            slots=self._slots,
            measuring=self._measuring,
        )
        download = Download(run_id, folder, frozenset(numbers), name)
        async with journal.files.note_download(download), self._locks.lock(run_id.lower()):
            saved = await save_outputs(
                self._client, run, folder, options, numbers=numbers, on_bytes=on_bytes
            )
            await journal.files.note_folder(run_id, folder)
            for file in saved.fetched:
                # Outputs are already in Layer, so using them as references needs no upload.
                if run.request.workspace_id and file.file_id:
                    await journal.files.note_upload(
                        run.request.workspace_id, file.sha256, file.file_id
                    )
        return saved

    async def _describe_unfinished(
        self, job: SavingJob, run: Run, folder: Path, wanted: Collection[int]
    ) -> SavedOutputs:
        """Return what is saved so far, and the progress of the rest."""
        saved = await self._find_saved(run, folder) or SavedOutputs(folder, folder, ())
        left = sorted(set(wanted) - saved.present().keys())
        arriving = [
            Arriving(
                number,
                job.arrived_bytes.get(number, 0),
                run.outputs[number - 1].file_size_bytes,
            )
            for number in left
        ]
        return replace(saved, arriving=tuple(arriving))

    async def _find_saved(self, run: Run, folder: Path) -> SavedOutputs | None:
        private = self._folders.private()
        return await to_thread.run_sync(find_saved, folder, run.run_id or "", private)

    async def _find_folder(self, run: Run, wanted: Path | None) -> Path:
        """Return the real path of the folder for a run's files.

        By default, that's where they already are, if it's in the output folder, or the output
        folder itself.
        """
        if wanted is not None:
            return await to_thread.run_sync(resolve_output, wanted, self._folders.output)
        root = self._folders.output_root()
        if run.folder is None:
            return root
        return await to_thread.run_sync(resolve_below, root, run.folder) or root
