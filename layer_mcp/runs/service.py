"""Runs: the paid generations of one account, without a protocol.

async with open_runs() as runs:
    run = await runs.generate(model_id="...", prompt="a red potion")
    saved = await runs.save(run)
"""

from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

import anyio

from ..api.client import LayerClient
from ..api.models import ModelDetail, PriceEstimate, RunSnapshot
from ..api.polling import LONGEST_WAIT_SECONDS, OnProgress
from ..arguments import check_type, parse_arguments
from ..credentials import TokenSource
from ..files.paths import Folders, path_of
from ..schema import portable_schema
from ..settings import Settings
from .account import AccountJournal
from .activity import BackgroundTasks, PollTimes, Submissions, WaitRegistry
from .drafts import Draft, InferenceDraft, WorkflowDraft
from .following import Follower
from .journal.databases.database import Database
from .manifest.types import MadeFile
from .operations import ModelLookup
from .outputs import FilesOnDisk, OnBytes, SavedOutputs
from .outputs.store import OutputStore
from .owners import Owner
from .planning import Planner
from .rules.prices import spend_limits
from .sending.queue import SlotQueue
from .sending.sender import Sender
from .sending.submitter import Submitter
from .sending.takeover import take_over
from .types.budget import MIN_UPLOAD_SECONDS, CallBudget
from .types.filters import RunFilter, RunFilters, RunTotals, with_filters
from .types.limits import RateLimits
from .types.plan import Confirmation, Plan, SubmitOptions
from .types.run import Run
from .uploads import OnUpload, UploadedFile, Uploads
from .waiting import OnEnded, WaitFor, wait_for_runs

if TYPE_CHECKING:
    from .preview import Preview


class Runs:
    """The runs of one account: plan them, pay at most once, follow them, and save their files.

    Use `open_runs` to create one. Its `client` is for calls that are free of charge.
    """

    def __init__(
        self,
        settings: Settings,
        client: LayerClient,
        token: TokenSource,
        *,
        database: Database,
        folders: Folders,
        background: BackgroundTasks,
        submissions: Submissions,
        owner: Owner | None = None,
    ) -> None:
        self.settings = settings
        self.client = client
        self.folders = folders
        self.polls = PollTimes()
        self._background = background
        self._submissions = submissions
        self._account = AccountJournal(settings, client, database, token, owner)
        self._open_journal = self._account.open
        self._waits = WaitRegistry()
        self._follower = Follower(
            client,
            self._open_journal,
            self._account.check_owned,
            polls=self.polls,
            waits=self._waits,
        )
        self._models = ModelLookup(client)
        self._uploads = Uploads(folders, client, self._open_journal, self._account.check_files)
        limits, rates = spend_limits(settings, owner), RateLimits()
        self._planner = Planner(
            client,
            self._open_journal,
            models=self._models,
            uploads=self._uploads,
            refresh=self.refresh,
            check_session=self._account.check_session,
            limits=limits,
        )
        queue = SlotQueue(self._open_journal, self.refresh, self._models, rates)
        self._sender = Sender(
            client,
            self._open_journal,
            queue=queue,
            uploads=self._uploads,
            polls=self.polls,
            submissions=submissions,
            background=background,
        )
        self._submitter = Submitter(
            self._open_journal,
            planner=self._planner,
            queue=queue,
            sender=self._sender,
            background=background,
            limits=limits,
            rates=rates,
        )
        self._outputs = OutputStore(
            folders,
            client,
            self._open_journal,
            background,
            check_owned=self._account.check_owned,
            read_again=self._follower.read_again,
        )
        if settings.database_url is not None:
            send, resume = self._sender.send_batch, self._outputs.resume_downloads
            background.start_waiting(take_over, self._open_journal, send, resume, background)
        # Images take memory, and Pillow's warnings are off for the whole process meanwhile.
        self._drawing = anyio.CapacityLimiter(1)

    async def generate(
        self,
        *,
        wait_seconds: float = LONGEST_WAIT_SECONDS,
        max_price: float | None = None,
        repeat: bool = False,
        **fields: Any,
    ) -> Run:
        """Start a generation at most once, wait for it to end, and return it.

        Pass the fields of `InferenceDraft` as keywords. `max_price` is the highest price that you
        approve, in Creative Units. If Layer's limits are reached, the call waits for up to an hour
        to start the run. `wait_seconds` is how long it then waits for the result.

        Raises:
            InvalidRequestError: a field is unknown, missing or out of range.
            NotFoundError: there is no such model, workspace or file.
            FileError: a local file can't be read or uploaded.
            PriceError: a limit, the balance or a missing approval prevents the run.
            RateLimitError: Layer's limits didn't allow the run in time.
            OutcomeUnknownError: the run was sent and may be charged.
        """
        draft = parse_arguments(InferenceDraft, portable_schema(InferenceDraft), fields)
        plan = await self.prepare([draft], SubmitOptions(max_price, repeat))
        run = await self.submit(plan)
        return await self.follow(run, wait_seconds)

    async def prepare(
        self,
        drafts: Sequence[Draft],
        options: SubmitOptions | None = None,
        budget: CallBudget | None = None,
        *,
        on_upload: OnUpload | None = None,
    ) -> Plan:
        """Plan what a call would start and cost; free of charge and repeatable.

        Uploads local files, looks for runs that already cover a request, and prices the others. All
        drafts run in the first one's workspace. Several drafts are a batch. By default, there is no
        time limit.

        Raises:
            InvalidRequestError: a draft is invalid, or Layer rejects it.
            NotFoundError: there is no such model, workflow, workspace or file.
            PriceError: a limit or the balance doesn't allow the price.
            FileError: a local file can't be read or uploaded.
            SubmissionError: the journal can't be used.
        """
        return await self._planner.prepare(drafts, options, budget, on_upload)

    async def confirmation(self, plan: Plan, *, names: bool = True) -> Confirmation | None:
        """Return what a person has to approve before the plan is submitted, if anything.

        Without `names`, models aren't looked up and are shown by their IDs.

        Raises:
            PriceError: a limit doesn't allow the plan even with a person's approval.
        """
        return await self._planner.confirmation(plan, names=names)

    async def submit(self, plan: Plan, *, approved: bool = False) -> Run:
        """Start the plan's only request at most once, or return the run that it duplicates.

        Raises:
            PriceError: a person has to approve the price, or a limit no longer allows it.
            RateLimitError: Layer's limits didn't allow the run in time.
            InvalidRequestError: Layer rejects the request, or the plan has several.
            SubmissionError: the run can't be recorded.
            OutcomeUnknownError: the run was sent and may be charged.
        """
        return await self._submitter.submit(plan, approved=approved)

    async def submit_batch(self, plan: Plan, *, approved: bool = False) -> list[Run]:
        """Record all requests of a plan, send as many as Layer's limits allow, and queue the rest.

        Returns a run for each request once every queued run has to wait for an earlier run to end,
        or when the call's time runs out. The batch continues in the background.

        Raises:
            PriceError: a person has to approve the price, or a limit no longer allows it.
            SubmissionError: the runs can't be recorded.
        """
        return await self._submitter.submit_batch(plan, approved=approved)

    async def send_queued(self, run: Run) -> Run:
        """Send a queued run once, no matter which process recorded it.

        Raises:
            LayerError: NOT_SENT, if another process sent it or is sending it; or the error that
                prevented it.
        """
        return await self._sender.send(run)

    async def follow(
        self,
        run: Run,
        seconds: float = LONGEST_WAIT_SECONDS,
        *,
        on_progress: OnProgress[RunSnapshot] | None = None,
    ) -> Run:
        """Wait up to `seconds` for a submitted or queued run to end, and record the result.

        A new run is paid for, so a failure while waiting becomes one of its `warnings`.

        Raises:
            LayerError: no state of a duplicate arrived.
        """
        return await self._follower.follow(run, seconds, on_progress)

    async def get(
        self,
        run_id: str,
        *,
        workflow_id: str | None = None,
        workspace: str | None = None,
        wait_seconds: float = 0,
        on_progress: OnProgress[RunSnapshot] | None = None,
    ) -> Run:
        """Read a run, waiting up to `wait_seconds` for it to end.

        A workflow run needs its `workflow_id`.

        Raises:
            NotFoundError: Layer has no such run.
            ServiceError: no state arrived.
        """
        return await self._follower.get(
            run_id,
            workflow_id=workflow_id,
            workspace=workspace,
            wait_seconds=wait_seconds,
            on_progress=on_progress,
        )

    async def wait_many(
        self,
        wanted: RunFilter | None = None,
        wait_for: WaitFor = "all",
        seconds: float = LONGEST_WAIT_SECONDS,
        *,
        on_ended: OnEnded | None = None,
        **filters: Unpack[RunFilters],
    ) -> None:
        """Refresh the active runs among those that match, and wait for any or all of them.

        Each run is read no sooner than Layer asks. The files of ended runs are saved if the
        settings say so. With "any", one of the currently active runs has to end. The filters are
        those of `list`.

        Raises:
            SubmissionError: the journal can't be used.
        """
        await wait_for_runs(
            with_filters(wanted, filters),
            wait_for,
            seconds,
            list_runs=self.list,
            refresh=self.refresh,
            save=None if self.settings.output_dir is None else self.save_once,
            polls=self.polls,
            waits=self._waits,
            on_ended=on_ended,
        )

    async def refresh(self, run: Run) -> Run:
        """Read a run from Layer if it's running and a read is due, and return it.

        If Layer can't be read, the run is returned unchanged.
        """
        return await self._follower.refresh(run)

    async def find(self, run_id: str) -> Run | None:
        """Return the run with this ID from Layer, if the journal has it."""
        return await (await self._open_journal()).find(run_id)

    async def find_maker(self, file_id: str) -> Run | None:
        """Return the run that made a file, if its completion was recorded here.

        Raises:
            SubmissionError: the journal can't be used.
        """
        return await (await self._open_journal()).find_maker(file_id)

    async def totals(
        self, wanted: RunFilter | None = None, **filters: Unpack[RunFilters]
    ) -> RunTotals:
        """Return the number and the total prices of all runs that match the filters of `list`.

        Raises:
            SubmissionError: the journal can't be used.
        """
        wanted = with_filters(wanted, filters)
        return await (await self._open_journal()).totals(wanted)

    def manifest(
        self,
        *,
        since: datetime | None = None,
        workspace_id: str | None = None,
        folder: str | PathLike[str] | None = None,
    ) -> AsyncGenerator[MadeFile]:
        """Yield every file of the account's runs, newest first, and whether it's unchanged.

        With a `folder`, yields the files that have a record in it or below it instead, regardless
        of which account made them.

        Raises:
            FileError: the folder can't be read.
            SubmissionError: the journal can't be used.
        """
        # Imported here because a server starts without it.
        from .manifest.listing import list_made_files  # noqa: PLC0415

        return list_made_files(
            self.list,
            self.folders.private(),
            since=since,
            workspace_id=workspace_id,
            folder=None if folder is None else path_of(folder),
            is_simulated=self.settings.sandbox,
        )

    async def estimate(self, draft: Draft) -> PriceEstimate:
        """Return Layer's price for a run; free of charge and without side effects.

        References count if their contents were uploaded before. `remarks` list the others.

        Raises:
            InvalidRequestError: the draft is invalid, or Layer rejects it.
            NotFoundError: there is no such model, workflow, workspace or file.
            FileError: a local file can't be read.
        """
        check_type(draft, (InferenceDraft, WorkflowDraft), "draft")
        return await self._planner.estimate_draft(draft)

    async def get_model(self, model_id: str, workspace: str | None = None) -> ModelDetail:
        """Return a model with its capabilities, and remember them for its runs.

        Raises:
            NotFoundError: there is no such model.
            ServiceError: Layer can't be reached.
        """
        return await self._models.get(model_id, await self.client.workspace_id(workspace))

    async def upload(
        self,
        paths: str | PathLike[str] | Sequence[str | PathLike[str]],
        workspace: str | None = None,
        *,
        seconds: float = LONGEST_WAIT_SECONDS,
        on_upload: OnUpload | None = None,
    ) -> list[UploadedFile]:
        """Upload one or more local files from the allowed folders; identical content is sent once.

        Raises:
            NotFoundError: there is no such file.
            FileError: a file can't be read or uploaded.
        """
        given = [paths] if isinstance(paths, str | PathLike) else paths
        wanted = [path if isinstance(path, str) else str(path_of(path)) for path in given]
        workspace_id = await self.client.workspace_id(workspace)
        return await self._uploads.upload(
            wanted,
            workspace_id,
            seconds=max(seconds, MIN_UPLOAD_SECONDS),
            on_upload=on_upload,
        )

    async def find_content(self, file_id: str, workspace: str) -> str | None:
        """Return the first file with the content of this one, or None if the content is unknown.

        Raises:
            SubmissionError: the journal can't be used.
        """
        journal = await self._open_journal()
        contents = await journal.files.find_contents(workspace, [file_id])
        if file_id not in contents:
            return None
        return await journal.files.find_upload(workspace, contents[file_id]) or file_id

    async def note_upload(self, file_id: str, workspace: str, *, sha256: str) -> str:
        """Remember the content of a file that came from elsewhere.

        Returns the first file with that content, so that the same content has one file_id.

        Raises:
            SubmissionError: the journal can't be used.
        """
        return await (await self._open_journal()).files.note_upload(workspace, sha256, file_id)

    async def save(
        self,
        run: Run,
        folder: str | PathLike[str] | None = None,
        *,
        numbers: Collection[int] | None = None,
        name: str | None = None,
        seconds: float | None = None,
        on_bytes: OnBytes | None = None,
    ) -> SavedOutputs:
        """Save all outputs of a finished run, or those with these numbers, and remember the folder.

        By default, the folder is where the outputs were saved before, or else the output folder.
        Files that are already saved aren't downloaded again. With a `name`, the files are named
        `sword.png`, or `sword_01.png` and so on. After `seconds` (by default, never), the remaining
        downloads continue in the background, and `arriving` reports their progress. Repeat the call
        to wait for them.

        Raises:
            FileError: the folder can't be used, or the disk is full.
            InvalidRequestError: the name isn't a valid file name.
        """
        check_type(run, Run, "run")
        chosen = None if folder is None else path_of(folder)
        return await self._outputs.save(
            run, chosen, numbers=numbers, name=name, seconds=seconds, on_bytes=on_bytes
        )

    async def save_once(
        self,
        run: Run,
        folder: str | PathLike[str] | None = None,
        *,
        seconds: float | None = None,
        on_bytes: OnBytes | None = None,
    ) -> FilesOnDisk:
        """Save the outputs of a finished run that were never saved; removed files stay removed.

        The folder and the time are the same as for `save`. The run is paid for, so a failure
        becomes one of the `warnings`.
        """
        chosen = None if folder is None else path_of(folder)
        return await self._outputs.save_once(run, chosen, seconds=seconds, on_bytes=on_bytes)

    async def preview(
        self, run: Run, files: FilesOnDisk | None = None, *, tile: bool = False
    ) -> "Preview":
        """Draw the first visible outputs as one small JPEG.

        `files` are the saved files, as `save_once` returns them. `tile` repeats each image 3 x 3 to
        show the seams of a texture. A WAV is shown as its waveform.
        """
        from .preview import make_preview  # noqa: PLC0415  draws, so a server starts without it

        return await make_preview(
            self.client,
            run.outputs,
            files or FilesOnDisk(),
            tile=tile,
            limiter=self._drawing,
            private=self.folders.private(),
        )

    def stop_waiting(self, run_id: str | None = None) -> None:
        """End the waits for a run as if they had timed out; without an ID, all of them."""
        if run_id is None:
            self._waits.stop_all()
        else:
            self._waits.stop(run_id.lower())

    async def record_pending(self) -> None:
        """Write everything the journal couldn't record earlier, before the process ends."""
        await self._account.record_pending()

    async def withdraw_work(self) -> None:
        """Record that nobody should send or save what this process leaves."""
        await self._account.withdraw_work()

    @property
    def are_idle(self) -> bool:
        """Whether nothing is being sent, saved, or queued, and everything is recorded."""
        is_busy = self._background.are_running or self._submissions.are_out
        return not is_busy and not self._account.has_pending

    @property
    def journal_problem(self) -> str | None:
        """Why runs aren't kept after the process ends, if they should be; known after first use."""
        return self._account.problem

    async def list(
        self,
        wanted: RunFilter | None = None,
        limit: int = 20,
        **filters: Unpack[RunFilters],
    ) -> list[Run]:
        """List the matching runs that were started here, newest first.

        Pass the fields of `RunFilter` as keywords, or a filter as a value.

        Raises:
            SubmissionError: the journal can't be used.
        """
        wanted = with_filters(wanted, filters)
        return await (await self._open_journal()).list_runs(wanted, limit)
