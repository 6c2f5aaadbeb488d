"""execute_batch: many generations in one call, priced and agreed to as a whole."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import uuid4

import anyio
from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Elicit, Resolve
from mcp.server.mcpserver.tools import Tool
from pydantic import BaseModel, Field, WithJsonSchema

from ...api.models import Inference
from ...errors import LayerError
from ...journal.entries import RunEntry
from ..approval import Answered, Approval
from ..arguments import parse_arguments
from ..batches import Batch, Result, send_batch
from ..common import WORKSPACE, counted, short, spending
from ..generation import GenerationArguments
from ..orders import Order, Started, inference_order
from ..paying import reserved
from ..planning import Plan, SpendingArguments, asked, planned
from ..prices import excluded_references
from ..references import bring_references
from ..results import Answer
from ..run_rows import QUEUED, status_in_words
from ..schema import portable_schema
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..twins import twin_error
from ..waiting import deadline_before_submission

MAX_REQUESTS = 50
ID_LENGTH = 12
UNKNOWN_CODES = ("OUTCOME_UNKNOWN", "TOOL_CRASHED")
DESCRIPTION = """\
Start up to 50 paid generations in one call, priced as a whole before the first is sent. Layer \
runs 5 at once; the others wait in line here. list_runs then waits for all."""


# Any of the arguments. One is named, because Gemini refuses an object without properties.
SomeArguments = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"prompt": {"type": "string", "description": "What to make."}},
            "additionalProperties": True,
        }
    ),
]


class ExecuteBatchArguments(SpendingArguments):
    """The runs, where to start them, and what they may cost in all."""

    requests: list[SomeArguments] = Field(
        min_length=1,
        max_length=MAX_REQUESTS,
        description="What differs: arguments of execute_inference for each run.",
    )
    defaults: SomeArguments = Field(default={}, description="What all of them share.")
    workspace_id: str | None = WORKSPACE


class BatchRow(BaseModel):
    """One run of a batch; `number` is its place among the requests, from 1."""

    number: int
    inference_id: str | None = None
    status: str
    duplicate: bool | None = None
    error: str | None = None


class BatchAnswer(Answer):
    """The runs of a batch, and their price."""

    batch_id: str | None = None
    runs: list[BatchRow]
    estimated_price_creative_units: float | None = None
    warning: str | None = None

    def facts(self) -> list[str]:
        """The price, then a line for each run."""
        price = self.estimated_price_creative_units
        total = f" Estimated price {price:g} CU in all." if price is not None else ""
        lines = [f"{counted(len(self.runs), 'run')}.{total}", *(_line(row) for row in self.runs)]
        return [*lines, self.warning] if self.warning else lines


async def plan(arguments: ExecuteBatchArguments, context: ToolContext) -> Plan[Inference]:
    """Check every request, bring all references to Layer, ask for all prices."""
    began = anyio.current_time()
    app = app_of(context)
    requests = [_merged(arguments, number) for number in range(1, len(arguments.requests) + 1)]
    workspace_id = await app.client.workspace_id(arguments.workspace_id)
    paths = list(dict.fromkeys(path for request in requests for path in request.paths()))
    references = await bring_references(paths, workspace_id, context, began=began)
    orders = [
        replace(
            inference_order(app, request.request(references.ids), references, workspace_id),
            label=f"request {number}: ",
        )
        for number, request in enumerate(requests, 1)
    ]
    if not arguments.repeat:
        _refuse_equal(orders)
    return await planned(orders, arguments, context, began=began, wait_for_twins=False)


async def ask(
    plan: Annotated[Plan[Inference], Resolve(plan)], context: ToolContext
) -> Elicit[Approval] | Answered:
    """Ask a person once for the whole batch, if its price wants one."""
    return await asked(plan, context)


async def execute_batch(
    arguments: ExecuteBatchArguments,
    plan: Annotated[Plan[Inference], Resolve(plan)],
    approval: Annotated[ElicitationResult[Approval], Resolve(ask)],
    context: ToolContext,
) -> BatchAnswer:
    """Write all down at once, send what Layer's limits allow, and leave the rest in line."""
    app = app_of(context)
    batch_id = uuid4().hex[:ID_LENGTH]
    new = plan.new
    reservations = await reserved(app, plan, new, approval, batch_id=batch_id) if new else []
    written = iter(reservations)
    entries = [twin or next(written).entry for twin in plan.twins]
    started_now = {item.entry.local_id for item in reservations if item.is_new}
    pairs = [
        (order, entry)
        for order, entry in zip(plan.orders, entries, strict=True)
        if entry.local_id in started_now
    ]
    batch = Batch(pairs)
    if pairs:
        app.background.start_soon(send_batch, app, batch)
        deadline = deadline_before_submission(plan.began, context)
        with anyio.move_on_at(deadline):
            await batch.at_rest.wait()
    rows = [
        _row(number, entry, batch.results.get(entry.local_id), entry.local_id in started_now)
        for number, entry in enumerate(entries, 1)
    ]
    return _answer(plan, rows, batch_id if pairs else _common_batch(plan.twins), batch)


def _merged(arguments: ExecuteBatchArguments, number: int) -> GenerationArguments:
    """One request with the defaults of all.

    Raises:
        LayerError: INVALID_ARGUMENTS, naming the request.
    """
    given = {**arguments.defaults, **arguments.requests[number - 1]}
    if "workspace_id" in given:
        sentence = f"request {number}: workspace_id stands beside requests, for all of them."
        raise LayerError("INVALID_ARGUMENTS", sentence)
    try:
        return parse_arguments(GenerationArguments, portable_schema(GenerationArguments), given)
    except LayerError as error:
        raise LayerError(error.code, f"request {number}: {error.message}") from None


def _refuse_equal(orders: Sequence[Order[Inference]]) -> None:
    """Equal requests in one batch would be answered with one run.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    numbers: dict[str, int] = {}
    for number, order in enumerate(orders, 1):
        first = numbers.setdefault(order.intent.fingerprint, number)
        if first != number:
            sentence = (
                f"Requests {first} and {number} are equal. Give each its own seed or prompt, use "
                "batch_size."
            )
            raise LayerError("INVALID_ARGUMENTS", sentence)


def _row(number: int, entry: RunEntry, result: Result | None, is_new: bool) -> BatchRow:
    if isinstance(result, Started):
        state = result.state
        return BatchRow(number=number, inference_id=state.inference_id, status=state.status)
    if isinstance(result, LayerError):
        return BatchRow(
            number=number,
            inference_id=result.inference_id,
            status="unknown" if result.code in UNKNOWN_CODES else "not_sent",
            error=short(f"{result.code}: {result.message}"),
        )
    if is_new:
        return BatchRow(number=number, status=QUEUED)
    error = twin_error(entry)
    return BatchRow(
        number=number,
        inference_id=entry.run_id,
        status=status_in_words(entry),
        duplicate=True,
        error=short(f"{error.code}: {error.message}") if error else None,
    )


def _common_batch(twins: Sequence[RunEntry | None]) -> str | None:
    """The batch that was started by the same call before, if all of it was."""
    batches = {twin.batch_id for twin in twins if twin is not None}
    return batches.pop() if len(batches) == 1 else None


def _answer(
    plan: Plan[Inference], rows: list[BatchRow], batch_id: str | None, batch: Batch
) -> BatchAnswer:
    refused = plan.quote.references_refused if plan.quote else None
    unkept = [result.warning for result in batch.results.values() if isinstance(result, Started)]
    warnings = [excluded_references(refused), *dict.fromkeys(unkept)]
    return BatchAnswer(
        batch_id=batch_id,
        runs=rows,
        estimated_price_creative_units=plan.quote.total if plan.quote else None,
        warning=" ".join(warning for warning in warnings if warning) or None,
        next_step=_next_step(rows, batch_id, has_new=bool(batch.pairs)),
    )


def _next_step(rows: Sequence[BatchRow], batch_id: str | None, *, has_new: bool) -> str:
    steps: list[str] = []
    if batch_id is not None:
        steps.append(f'Call list_runs with batch_id "{batch_id}" and wait_for all.')
    elsewhere = has_new or batch_id is None
    if elsewhere and any(row.duplicate and row.inference_id for row in rows):
        steps.append("Duplicates are runs of earlier calls: list_runs takes their inference_ids.")
    if unknown := _numbers(rows, "unknown"):
        steps.append(f"Outcome unknown: {unknown}. Look in Layer before starting these again.")
    if failed := _numbers(rows, "not_sent"):
        steps.append(f"Not started: {failed}. The others go on; correct these and call again.")
    return " ".join(steps) or "Call list_runs to see what is under way."


def _numbers(rows: Sequence[BatchRow], status: str) -> str:
    return ", ".join(str(row.number) for row in rows if row.status == status)


def _line(row: BatchRow) -> str:
    facts = [row.inference_id, row.status, "duplicate" if row.duplicate else None, row.error]
    return f"{row.number}. {', '.join(fact for fact in facts if fact)}"


def execute_batch_tool() -> Tool:
    """The tool as the server publishes it."""
    return make_tool(
        execute_batch,
        title="Generate many with Layer",
        description=DESCRIPTION,
        arguments=ExecuteBatchArguments,
        answer=BatchAnswer,
        annotations=spending(),
    )
