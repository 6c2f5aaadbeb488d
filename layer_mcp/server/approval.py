"""The two resolvers that the paid tools share: make a plan, and ask a person about its price.

The SDK can ask in both protocol eras: with a separate request while the call waits, or, since
2026-07-28, by answering the call with the question and accepting the call again.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol, cast

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.elicitation import AcceptedElicitation, CancelledElicitation, ElicitationResult
from mcp.server.mcpserver import Elicit, Resolve
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, ConfigDict, Field

from ..api.fields import NonNegativeNumber, Request
from ..errors import LayerError
from ..runs.drafts import Draft
from ..runs.rules.prices import check_answer, check_approval, spend_limits
from ..runs.types.plan import Confirmation, Plan, SubmitOptions
from ..runs.views import describe_confirmation
from .answers import PREVIEW, Preview
from .context import (
    App,
    Asking,
    Question,
    ToolContext,
    app_of,
    begin_call,
    report_upload,
    runs_for,
)

ERA_OF_ROUNDS = "2026-07-28"
UNREADABLE = "The user's answer about the price can't be read. Nothing was sent."

logger = logging.getLogger(__name__)


class PayingArguments(Request, ArgModelBase):
    """A call's arguments about paying."""

    max_price_creative_units: NonNegativeNumber | None = Field(
        default=None,
        description="Maximum price. After the user agrees to a price, pass that price.",
    )
    repeat: bool = Field(default=False, description="true starts and pays for the same call again.")


class SingleRunArguments(PayingArguments):
    """A single run's arguments about paying and waiting, in addition to what it runs."""

    wait_seconds: NonNegativeNumber = Field(
        default=0, description="Wait up to this long for the files."
    )
    preview: Preview = PREVIEW

    @property
    def is_batch(self) -> bool:
        """Whether runs without a slot wait in the queue."""
        return False

    def drafts(self) -> list[Draft]:
        """Return the requested run: the arguments are also its draft."""
        return [cast("Draft", self)]


class PaidCall(Protocol):
    """The arguments of a paid tool: what to start, and how to pay for it."""

    @property
    def is_batch(self) -> bool:
        """Whether runs without a slot wait in the queue."""
        ...

    @property
    def max_price_creative_units(self) -> float | None:
        """The most that the call may cost."""
        ...

    @property
    def repeat(self) -> bool:
        """Whether to pay again for a repeated call."""
        ...

    def drafts(self) -> Sequence[Draft]:
        """Return the requested runs.

        Raises:
            LayerError: INVALID_ARGUMENTS.
        """
        ...


def _remove_wording(schema: dict[str, Any]) -> None:
    """Keep `type`, `properties`, and `required`: the protocol has, and Codex accepts, no others."""
    for word in ("title", "description"):
        schema.pop(word, None)


class Approval(BaseModel):
    """A person's answer."""

    model_config = ConfigDict(json_schema_extra=_remove_wording)

    # Preset to yes, but required, so any other form of answer doesn't count as a yes.
    approve: bool = Field(
        title="Start it",
        description="This spends the Creative Units.",
        json_schema_extra={"default": True},
    )


@dataclass(frozen=True)
class NotAsked:
    """Approval wasn't needed, or nobody could be asked."""


Answer = ElicitationResult[Approval] | NotAsked


async def make_plan(arguments: Any, context: ToolContext) -> Plan:
    """Upload the references and get the price, unless an earlier run covers the call."""
    call = cast("PaidCall", arguments)
    budget = begin_call(context)
    return await runs_for(context).prepare(
        call.drafts(),
        SubmitOptions(call.max_price_creative_units, call.repeat, call.is_batch),
        budget,
        on_upload=report_upload(context),
    )


async def ask_approval(
    plan: Annotated[Plan, Resolve(make_plan)], context: ToolContext
) -> Elicit[Approval] | Answer:
    """Ask a person about the price, if it needs their approval.

    Raises:
        LayerError: a limit blocks the plan even with approval; CONFIRMATION_REQUIRED or
            PRICE_UNKNOWN, if nobody can be asked; NOT_ANSWERED.
    """
    can_ask = _can_ask(context)
    confirmation = await runs_for(context).confirmation(plan, names=can_ask)
    if confirmation is None:
        return NotAsked()
    if can_ask:
        answer = await _ask(confirmation, context)
        if answer is not None:
            return answer
    limits = spend_limits(app_of(context).settings)
    check_approval(plan, limits, approved=False)
    return NotAsked()


def is_approved(result: ElicitationResult[Any]) -> bool:
    """Return whether a person approved the price; False if nobody was asked.

    Raises:
        LayerError: DECLINED or NOT_ANSWERED: a person declined, or didn't answer.
    """
    answer: Any = result
    # The SDK wraps a resolver's own return value once more.
    while isinstance(answer, AcceptedElicitation):
        answer = cast("AcceptedElicitation[Any]", answer).data
    if isinstance(answer, NotAsked):
        return False
    agreed = isinstance(answer, Approval) and answer.approve
    check_answer(None if isinstance(answer, CancelledElicitation) else agreed)
    return True


async def _ask(
    confirmation: Confirmation, context: ToolContext
) -> Elicit[Approval] | ElicitationResult[Approval] | None:
    """Return a person's answer, or the question for the SDK to send to the client.

    None when the client could not ask.
    """
    question = _question(confirmation, context)
    if _asks_in_rounds(context):
        return question
    try:
        return await context.elicit(question.message, Approval)
    except MCPError as error:
        logger.warning("The client did not ask the user: error %d", error.code)
        return None
    except ValueError:
        raise LayerError("NOT_ANSWERED", UNREADABLE) from None


def _can_ask(context: ToolContext) -> bool:
    """Return whether the client of this call can show a form to a person."""
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return False
    return _asks_in_rounds(context) or context.session.can_send_request


def _asks_in_rounds(context: ToolContext) -> bool:
    version = context.protocol_version
    return version is not None and version >= ERA_OF_ROUNDS


def _question(confirmation: Confirmation, context: ToolContext) -> Elicit[Approval]:
    """Return the question, or the earlier question if the price hasn't changed.

    The SDK accepts an answer only for exactly the same text, and the balance may have changed.
    """
    quote = confirmation.quote
    about = (confirmation.subject, quote.total, quote.references_refused is None)
    asking = app_of(context).asking
    question = asking.earlier
    if question is None or question.about != about:
        question = Question(describe_confirmation(confirmation), about)
    asking.now = question
    return Elicit(question.text, Approval)


async def carry_question(ctx: ServerRequestContext[App, Any], call_next: CallNext) -> HandlerResult:
    """Keep a call's question in its sealed state, so that any replica can ask it again.

    This is middleware. The state of the SDK is passed on unchanged.
    """
    asking = Asking()
    params = ctx.params
    if params is not None and isinstance(state := params.get("requestState"), str):
        state, asking.earlier = _open_state(state)
        ctx = replace(ctx, params={**params, "requestState": state})
    app = replace(ctx.lifespan_context, asking=asking)
    result = await call_next(replace(ctx, lifespan_context=app))
    if asking.now is None or not isinstance(result, Mapping):
        return result
    if not isinstance(state := result.get("requestState"), str):
        return result
    return {**result, "requestState": _wrap_state(state, asking.now)}


def _wrap_state(state: str, question: Question) -> str:
    return json.dumps({"state": state, "text": question.text, "about": question.about})


def _open_state(wrapped: str) -> tuple[str, Question | None]:
    """Return the SDK's state and the question; a state without one is the SDK's own."""
    try:
        value = json.loads(wrapped)
        return value["state"], Question(value["text"], tuple(value["about"]))
    except (ValueError, LookupError, TypeError):
        return wrapped, None
