"""Build a plan: its requests, the runs that already cover them, and the price of the rest."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import anyio

from ..api.client import LayerClient
from ..api.models import PriceEstimate
from ..arguments import check_type
from ..errors import LayerError
from .activity import for_each_limited
from .drafts import Draft, InferenceDraft, WorkflowDraft, WorkflowRunDraft
from .journal import Journal
from .operations import ModelLookup, estimate_price
from .resolve import resolve_drafts, resolve_for_price
from .rules.duplicates import DUPLICATE_SECONDS, age_seconds, refuse_equal_requests
from .rules.prices import needs_approval, price_error, spending_error
from .rules.quotes import (
    ignored_arguments,
    make_quote,
    unpriced_error,
    unpriced_files,
    unpriced_references,
)
from .types.budget import MIN_PREPARING_SECONDS, CallBudget
from .types.limits import SpendLimits
from .types.plan import Confirmation, Plan, Quote, SubmitOptions
from .types.request import RunRequest
from .types.run import Run
from .types.states import NOT_SENT
from .uploads import OnUpload, Uploads
from .views import count_noun

MAX_NAMES = 3
NAME_SECONDS = 3.0
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0


class Planner:
    """Turns drafts into plans: requests, the runs that cover them, and prices within `limits`.

    `refresh` reads a running run, because it may have ended. `check_session` refuses a session that
    the caller must not use.
    """

    def __init__(
        self,
        client: LayerClient,
        open_journal: Callable[[], Awaitable[Journal]],
        *,
        models: ModelLookup,
        uploads: Uploads,
        refresh: Callable[[Run], Awaitable[Run]],
        check_session: Callable[[str], Awaitable[None]],
        limits: SpendLimits,
    ) -> None:
        self._client = client
        self._open_journal = open_journal
        self._models = models
        self._uploads = uploads
        self._refresh = refresh
        self._check_session = check_session
        self._limits = limits

    async def prepare(
        self,
        drafts: Sequence[Draft],
        options: SubmitOptions | None,
        budget: CallBudget | None,
        on_upload: OnUpload | None,
    ) -> Plan:
        """Plan what a call would start and cost; see `Runs.prepare`."""
        if not drafts:
            raise LayerError("INVALID_ARGUMENTS", "There is nothing to start: pass a draft.")
        for draft in drafts:
            check_type(draft, (InferenceDraft, WorkflowDraft), "Each draft")
        options = options or SubmitOptions(is_batch=len(drafts) > 1)
        budget = budget or CallBudget.of_a_program()
        requests = await self._resolve(drafts, budget, on_upload)
        if options.is_batch:
            requests = number_requests(requests, repeat=options.repeat)
        deadline = budget.submit_by
        duplicates = [await self.find_duplicate(one, options, deadline) for one in requests]
        plan = Plan(requests, duplicates, None, options, budget)
        if not plan.new:
            return plan
        left_seconds = max(deadline - anyio.current_time(), MIN_PREPARING_SECONDS)
        quote = await self._get_quote(plan.new, left_seconds)
        error = price_error(quote, self._limits, options.max_price_creative_units)
        if error is not None:
            raise error
        return replace(plan, quote=quote)

    async def confirmation(self, plan: Plan, *, names: bool) -> Confirmation | None:
        """Return what a person has to approve, if anything; see `Runs.confirmation`."""
        quote = plan.quote
        if quote is None or not needs_approval(quote, self._limits):
            return None
        # This is checked again on submission. Checking here avoids asking a person for nothing.
        spending = await (await self._open_journal()).spending()
        error = spending_error(quote, self._limits, spending)
        if error is not None:
            raise error
        different = {request.subject_id: request for request in plan.new}
        called = list(different)[:MAX_NAMES]
        if names:
            with anyio.move_on_after(NAME_SECONDS):
                called = [await self._name(different[subject_id]) for subject_id in called]
        return Confirmation(
            describe_requests(plan.new),
            quote,
            tuple(called),
            max(len(different) - MAX_NAMES, 0),
            plan.ignored,
        )

    async def estimate_draft(self, draft: Draft) -> PriceEstimate:
        """Return the price of a draft without uploading its local files; `remarks` list those."""
        workspace_id = await self._client.workspace_id(draft.workspace_id)
        request, left_out = await resolve_for_price(
            draft, workspace_id, self._uploads, self._client, self._models
        )
        try:
            estimate = await self._estimate(request)
        except LayerError as error:
            raise unpriced_error(error, left_out) from None
        remarks = (unpriced_files(left_out), ignored_arguments(request.ignored))
        return estimate.model_copy(update={"remarks": tuple(filter(None, remarks))})

    async def find_duplicate(
        self,
        request: RunRequest,
        options: SubmitOptions,
        deadline: float,
        awaited: Run | None = None,
    ) -> Run | None:
        """Return the run that already covers a request, or None if the request can be sent.

        If that run is being sent, waits until `deadline` for the response, except for a batch. A
        running one is read, because it may have ended. `awaited` is a run that was being sent a
        moment ago.
        """
        journal = await self._open_journal()
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            run = await journal.find_duplicate(request, repeat=options.repeat)
            if run is None and awaited is not None and options.repeat:
                # Once answered, it covers this call, but no later repeat.
                answered = await journal.reload(awaited)
                return None if answered.state == NOT_SENT else answered
            if run is None:
                return None
            can_wait = run.is_being_sent and not options.is_batch
            if can_wait and anyio.current_time() + pause_seconds < deadline:
                awaited = run
                await anyio.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
                continue
            if not run.is_running or age_seconds(run) < DUPLICATE_SECONDS:
                return run
            with anyio.move_on_after(deadline - anyio.current_time()):
                if (await self._refresh(run)).has_ended:
                    continue
            return run

    async def _resolve(
        self, drafts: Sequence[Draft], budget: CallBudget, on_upload: OnUpload | None
    ) -> Sequence[RunRequest]:
        workspace_id = await self._client.workspace_id(drafts[0].workspace_id)
        for draft in drafts:
            if isinstance(draft, WorkflowRunDraft) and draft.session_id is not None:
                await self._check_session(draft.session_id)
        return await resolve_drafts(
            drafts,
            workspace_id,
            self._uploads,
            self._client,
            self._models,
            seconds=budget.upload_seconds,
            on_upload=on_upload,
        )

    async def _estimate(self, request: RunRequest) -> PriceEstimate:
        try:
            return await estimate_price(self._client, request)
        except LayerError as error:
            await self._uploads.forget_lost_files(error, request)
            raise

    async def _get_quote(self, requests: Sequence[RunRequest], seconds: float) -> Quote:
        answers: dict[int, PriceEstimate | LayerError] = {}

        async def estimate(number: int) -> None:
            try:
                answers[number] = await self._estimate(requests[number])
            except LayerError as error:
                error.parts = (requests[number].label, *error.parts)
                answers[number] = error

        with anyio.move_on_after(seconds):
            await for_each_limited(range(len(requests)), estimate)
        found = [answers.get(number) or _late_price() for number in range(len(requests))]
        return make_quote(found, requests[0].workspace_id)

    async def _name(self, request: RunRequest) -> str:
        if request.kind == "workflow":
            return request.subject_name or request.subject_id
        return (await self._models.find(request.subject_id, request.workspace_id)).name


def number_requests(requests: Sequence[RunRequest], *, repeat: bool) -> Sequence[RunRequest]:
    """Label the requests of a batch, and number equal ones if they're allowed."""
    if not repeat:
        refuse_equal_requests(requests)
    seen: dict[str, int] = {}
    numbered: list[RunRequest] = []
    for number, request in enumerate(requests, 1):
        copy_number = seen.setdefault(request.fingerprint, 0)
        seen[request.fingerprint] += 1
        label = f"request {number}: "
        numbered.append(replace(request, label=label, copy_number=copy_number))
    return numbered


def plan_warnings(plan: Plan, run: Run | None = None) -> list[str]:
    """Return warnings about a plan's price and arguments, without what `run` already reports."""
    refused = plan.quote.references_refused if plan.quote else None
    changes = (run.changed_parameters if run else None) or []
    changed = {change.partition(" ")[0] for change in changes}
    ignored = [name for name in plan.ignored if name not in changed]
    warnings = (unpriced_references(refused), ignored_arguments(ignored))
    return [warning for warning in warnings if warning]


def describe_requests(requests: Sequence[RunRequest]) -> str:
    """Describe how many outputs and runs would start, for a person."""
    counts = [one.output_count for one in requests if one.output_count is not None]
    outputs = count_noun(sum(counts), "output") if counts else "a run"
    runs = f" in {count_noun(len(requests), 'run')}" if len(requests) > 1 else ""
    return f"{outputs}{runs}"


def _late_price() -> LayerError:
    return LayerError("TIMEOUT", "Layer didn't return the price in time.", transient=True)
