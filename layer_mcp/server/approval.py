"""The two resolvers that the paid tools share: make a plan, and ask a person about its price.

The SDK asks in both protocol eras: with a request of its own while the call waits, or, from
2026-07-28 on, by answering the call with the question and taking the same call again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, cast

from mcp.server.elicitation import AcceptedElicitation, CancelledElicitation, ElicitationResult
from mcp.server.mcpserver import Elicit, Resolve
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, ConfigDict, Field

from ..api.fields import NonNegativeNumber, Request
from ..errors import LayerError
from ..runs import rules
from ..runs.references import Draft
from ..runs.types import Confirmation, Plan, SubmitOptions
from ..runs.views import describe_confirmation
from .answers import PREVIEW
from .context import ToolContext, app_of, begin_call, report_upload, runs_for

ERA_OF_ROUNDS = "2026-07-28"
MAX_ASKED = 100
UNREADABLE = "The user's answer to the price could not be read. Nothing was sent."

logger = logging.getLogger(__name__)


class PayingArguments(Request, ArgModelBase):
    """What a call says about paying."""

    max_price_creative_units: NonNegativeNumber | None = Field(
        default=None,
        description="Refuse if it costs more. After the user's yes to a price: that price.",
    )
    repeat: bool = Field(
        default=False, description="true pays again for a call that was made before."
    )


class SingleRunArguments(PayingArguments):
    """What a call for one run says about paying and waiting, in addition to what it runs."""

    wait_seconds: NonNegativeNumber = Field(
        default=0, description="Wait up to this long for the files."
    )
    preview: bool = PREVIEW

    @property
    def is_batch(self) -> bool:
        """Whether runs without a slot wait in the queue."""
        return False

    def drafts(self) -> list[Draft]:
        """Return the one run that is asked for: the arguments are a draft too."""
        return [cast("Draft", self)]


class PaidCall(Protocol):
    """The arguments of a paid tool: what they would start, and what they say about paying."""

    @property
    def is_batch(self) -> bool:
        """Whether runs without a slot wait in the queue."""
        ...

    @property
    def max_price_creative_units(self) -> float | None:
        """What the call may cost."""
        ...

    @property
    def repeat(self) -> bool:
        """Whether to pay again for a call that was made before."""
        ...

    def drafts(self) -> Sequence[Draft]:
        """Return the runs that are asked for.

        Raises:
            LayerError: INVALID_ARGUMENTS.
        """
        ...


def _remove_wording(schema: dict[str, Any]) -> None:
    """Leave `type`, `properties` and `required`: the protocol has no more, Codex takes no more."""
    for word in ("title", "description"):
        schema.pop(word, None)


class Approval(BaseModel):
    """What a person answers."""

    model_config = ConfigDict(json_schema_extra=_remove_wording)

    # Preset to yes, but required: a form that was answered otherwise is no yes.
    approve: bool = Field(
        title="Start it",
        description="The Creative Units are then spent.",
        json_schema_extra={"default": True},
    )


@dataclass(frozen=True)
class NotAsked:
    """Nobody had to be asked, or nobody could be."""


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
        LayerError: a limit does not allow the plan, whatever the person says;
            CONFIRMATION_REQUIRED or PRICE_UNKNOWN, when nobody can be asked; NOT_ANSWERED.
    """
    can_ask = _can_ask(context)
    confirmation = await runs_for(context).confirmation(plan, names=can_ask)
    if confirmation is None:
        return NotAsked()
    if can_ask:
        answer = await _ask(confirmation, context)
        if answer is not None:
            return answer
    limits = rules.spend_limits(app_of(context).settings)
    rules.check_approval(plan, limits, approved=False)
    return NotAsked()


def is_approved(result: ElicitationResult[Any]) -> bool:
    """Return whether a person said yes; False when nobody was asked.

    Raises:
        LayerError: DECLINED or NOT_ANSWERED: a person said no, or nothing.
    """
    answer: Any = result
    # What a resolver returns by itself comes wrapped once more.
    while isinstance(answer, AcceptedElicitation):
        answer = cast("AcceptedElicitation[Any]", answer).data
    if isinstance(answer, NotAsked):
        return False
    agreed = isinstance(answer, Approval) and answer.approve
    rules.check_answer(None if isinstance(answer, CancelledElicitation) else agreed)
    return True


async def _ask(
    confirmation: Confirmation, context: ToolContext
) -> Elicit[Approval] | ElicitationResult[Approval] | None:
    """Return a person's answer, or the question that the SDK sends to the client in a round.

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
    """Return the question; in a second round that of the first, if the price is the same.

    The SDK takes an answer only for the very same words, and the balance changes by itself.
    """
    quote = confirmation.quote
    asked = app_of(context).asked
    subject = (confirmation.subject, confirmation.names)
    key = (subject, quote.total, quote.references_refused is None)
    if context.request_state is None or key not in asked:
        asked[key] = describe_confirmation(confirmation)
        while len(asked) > MAX_ASKED:
            asked.pop(next(iter(asked)))
    return Elicit(asked[key], Approval)
