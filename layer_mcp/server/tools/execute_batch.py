"""execute_batch: start many generations in one call, priced and approved as a whole."""

from collections.abc import Sequence
from typing import Annotated, Any

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Resolve
from mcp.server.mcpserver.tools import Tool
from pydantic import BaseModel, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from ...arguments import parse_arguments
from ...errors import LayerError
from ...runs.drafts import Draft
from ...runs.planning import plan_warnings
from ...runs.rules.duplicates import duplicate_error
from ...runs.types.plan import Plan
from ...runs.types.run import Run
from ...runs.types.states import QUEUED
from ...runs.views import count_noun, shorten
from ...schema import SHAPE_KEYWORDS, JsonObject, outline, portable_schema
from ..answers import WORKSPACE, Answer, paid
from ..approval import Approval, PayingArguments, ask_approval, is_approved, make_plan
from ..context import ToolContext, runs_for
from ..tool import make_tool
from .execute_inference import GenerationArguments

MAX_REQUESTS = 50
DESCRIPTION = """\
Start up to 50 paid generations in one call. The total price is checked before the first one \
starts. Layer runs 5 at a time; the others wait in a queue. list_runs waits for all of them."""


class _ArgumentsByName:
    """Writes all arguments of a generation into a schema, each with its type only.

    Converters of several frameworks drop the keys that a schema doesn't name, and Gemini refuses an
    object without properties. execute_inference has the descriptions.
    """

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonObject:
        schema = outline(portable_schema(GenerationArguments), SHAPE_KEYWORDS)
        names = {n: s for n, s in schema["properties"].items() if n != "workspace_id"}
        return {"type": "object", "properties": names}


SomeArguments = Annotated[dict[str, Any], _ArgumentsByName()]


class ExecuteBatchArguments(PayingArguments):
    """The requested runs, their workspace, and the limit on their total price."""

    requests: list[SomeArguments] = Field(
        min_length=1,
        max_length=MAX_REQUESTS,
        description="Arguments of each run, as in execute_inference.",
    )
    defaults: SomeArguments = Field(
        default={}, description="Arguments for requests that don't set them."
    )
    workspace_id: str | None = WORKSPACE

    @property
    def is_batch(self) -> bool:
        """Whether runs without a slot wait in the queue."""
        return True

    def drafts(self) -> list[Draft]:
        """Return each request with the shared defaults applied.

        Raises:
            LayerError: INVALID_ARGUMENTS; the message names the request.
        """
        return [self._draft(number) for number in range(1, len(self.requests) + 1)]

    def _draft(self, number: int) -> GenerationArguments:
        given = self.defaults | self.requests[number - 1]
        if "workspace_id" in given:
            sentence = f"request {number}: put workspace_id next to requests, not in them."
            raise LayerError("INVALID_ARGUMENTS", sentence)
        if self.workspace_id is not None:
            given["workspace_id"] = self.workspace_id
        try:
            return parse_arguments(GenerationArguments, portable_schema(GenerationArguments), given)
        except LayerError as error:
            raise LayerError(error.code, f"request {number}: {error.message}") from None


class BatchRow(BaseModel):
    """A run in a batch; `number` is its position among the requests, from 1."""

    number: int
    inference_id: str | None = None
    status: str
    duplicate: bool | None = None
    error: str | None = None

    def line(self) -> str:
        """Return the row for people."""
        facts = [self.inference_id, self.status, "duplicate" if self.duplicate else None]
        return f"{self.number}. {', '.join(fact for fact in [*facts, self.error] if fact)}"


class BatchAnswer(Answer):
    """The runs in a batch, and their price."""

    batch_id: str | None = None
    runs: list[BatchRow]
    estimated_price_creative_units: float | None = None
    warning: str | None = None

    def facts(self) -> list[str]:
        """Return the price, then a line for each run."""
        price = self.estimated_price_creative_units
        total = f" Estimated total: {price:g} CU." if price is not None else ""
        lines = [f"{count_noun(len(self.runs), 'run')}.{total}", *(row.line() for row in self.runs)]
        return [*lines, self.warning] if self.warning else lines


async def execute_batch(
    arguments: ExecuteBatchArguments,
    plan: Annotated[Plan, Resolve(make_plan)],
    approval: Annotated[ElicitationResult[Approval], Resolve(ask_approval)],
    context: ToolContext,
) -> BatchAnswer:
    """Record all runs together, send as many as Layer's limits allow, and leave the rest queued."""
    runs = await runs_for(context).submit_batch(plan, approved=is_approved(approval))
    rows = [_row(number, run) for number, run in enumerate(runs, 1)]
    new = [run for run in runs if not run.is_duplicate]
    batch_id = new[0].batch_id if new else _common_batch(runs)
    unrecorded = [warning for run in new for warning in run.warnings]
    warnings = [*plan_warnings(plan), *dict.fromkeys(unrecorded)]
    return BatchAnswer(
        batch_id=batch_id,
        runs=rows,
        estimated_price_creative_units=plan.quote.total if plan.quote else None,
        warning=" ".join(warnings) or None,
        next_step=_next_step(rows, batch_id, has_new=bool(new)),
    )


def _row(number: int, run: Run) -> BatchRow:
    if not run.is_duplicate:
        error = f"{run.error.code}: {run.error.message}" if run.error else None
        return BatchRow(
            number=number,
            inference_id=None if run.state == QUEUED else run.run_id,
            status=run.state,
            error=shorten(error),
        )
    problem = duplicate_error(run)
    return BatchRow(
        number=number,
        inference_id=run.run_id,
        status=run.state,
        duplicate=True,
        error=shorten(f"{problem.code}: {problem.message}") if problem else None,
    )


def _common_batch(runs: Sequence[Run]) -> str | None:
    """Return the ID of the batch that all of these runs belong to, or None."""
    batches = {run.batch_id for run in runs}
    return batches.pop() if len(batches) == 1 else None


def _next_step(rows: Sequence[BatchRow], batch_id: str | None, *, has_new: bool) -> str:
    steps: list[str] = []
    if batch_id is not None:
        steps.append(f'Call list_runs with batch_id "{batch_id}" and wait_for all.')
    elsewhere = has_new or batch_id is None
    if elsewhere and any(row.duplicate and row.inference_id for row in rows):
        steps.append("Duplicates are runs from earlier calls: pass inference_ids to list_runs.")
    if unknown := _numbers(rows, "unknown"):
        steps.append(f"Outcome unknown: {unknown}. Look in Layer before starting these again.")
    if failed := _numbers(rows, "not_sent"):
        steps.append(f"Not started: {failed}. The others continue; correct these and call again.")
    return " ".join(steps) or "Call list_runs to see which runs are in progress."


def _numbers(rows: Sequence[BatchRow], status: str) -> str:
    return ", ".join(str(row.number) for row in rows if row.status == status)


def execute_batch_tool() -> Tool:
    """Return the tool as the server publishes it."""
    return make_tool(
        execute_batch,
        title="Generate many with Layer",
        description=DESCRIPTION,
        arguments=ExecuteBatchArguments,
        answer=BatchAnswer,
        annotations=paid(),
    )
