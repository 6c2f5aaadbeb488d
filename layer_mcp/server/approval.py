"""A person's yes to a price, asked for through the client where it can ask.

The SDK asks in both protocol eras: with a request of its own while the call waits, or, from
2026-07-28 on, by answering the call with the question and taking the same call again.
"""

import logging
from dataclasses import dataclass
from typing import Any, cast

from mcp.server.elicitation import AcceptedElicitation, CancelledElicitation, ElicitationResult
from mcp.server.mcpserver import Elicit
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel, ConfigDict, Field

from ..errors import LayerError
from .price_gate import Quote
from .state import ToolContext, app_of

ERA_OF_ROUNDS = "2026-07-28"
MAX_ASKED = 100
UNREADABLE = "The user's answer to the price could not be read. Nothing was sent."

logger = logging.getLogger(__name__)


def _without_words(schema: dict[str, Any]) -> None:
    """Leave `type`, `properties` and `required`: the protocol has no more, Codex takes no more."""
    for word in ("title", "description"):
        schema.pop(word, None)


class Approval(BaseModel):
    """What a person answers."""

    model_config = ConfigDict(json_schema_extra=_without_words)

    # Preset to yes, but required: a form that was answered otherwise is no yes.
    approve: bool = Field(
        title="Start it",
        description="The Creative Units are then spent.",
        json_schema_extra={"default": True},
    )


@dataclass(frozen=True)
class Unasked:
    """Nobody had to be asked, or nobody could be."""


Answered = ElicitationResult[Approval] | Unasked
"""What is known without another round."""


async def asked_person(
    what: str, quote: Quote, context: ToolContext
) -> Elicit[Approval] | Answered | None:
    """A person's answer to a price, or the question that the SDK carries to the client in a round.

    `what` would be started: "4 outputs with Some Model". None when the client could not ask.

    Raises:
        LayerError: NOT_ANSWERED, for an answer that cannot be read.
    """
    question = _question(what, quote, context)
    if _in_rounds(context):
        return question
    try:
        return await context.elicit(question.message, Approval)
    except MCPError as error:
        logger.warning("The client did not ask the user: %s", error)
        return None
    except ValueError:
        raise LayerError("NOT_ANSWERED", UNREADABLE) from None


def can_ask(context: ToolContext) -> bool:
    """Whether the client of this call can show a form to a person."""
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return False
    return _in_rounds(context) or context.session.can_send_request


def disagreement(result: ElicitationResult[Any]) -> LayerError | None:
    """Why a call may not go on: a person said no, or nothing; None after a yes or no question."""
    answer: Any = result
    # What a resolver returns by itself comes wrapped once more.
    while isinstance(answer, AcceptedElicitation):
        answer = cast("AcceptedElicitation[Any]", answer).data
    if isinstance(answer, Unasked) or (isinstance(answer, Approval) and answer.approve):
        return None
    if isinstance(answer, CancelledElicitation):
        sentence = "The question about the price was closed without an answer. Nothing was sent."
        return LayerError("NOT_ANSWERED", sentence)
    return LayerError("DECLINED", "Nobody agreed to the price. Nothing was sent.")


def _in_rounds(context: ToolContext) -> bool:
    version = context.protocol_version
    return version is not None and version >= ERA_OF_ROUNDS


def _question(what: str, quote: Quote, context: ToolContext) -> Elicit[Approval]:
    """The question; in a second round that of the first, as long as the price is the same.

    The SDK takes an answer only for the very same words, and the balance changes by itself.
    """
    price = f" for {quote.total:g} CU" if quote.total is not None else ""
    unknown = "" if price else " Its price could not be had."
    excluded = " References are not in the price." if quote.references_refused else ""
    start = f"Start {what}{price}?{unknown}{excluded}"
    balance = f"{quote.balance:g} CU" if quote.balance is not None else "unknown"
    asked = app_of(context).asked
    if context.request_state is None or start not in asked:
        asked[start] = balance
        while len(asked) > MAX_ASKED:
            asked.pop(next(iter(asked)))
    return Elicit(f"{start} The balance is {asked[start]}.", Approval)
