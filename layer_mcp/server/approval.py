"""A person's yes to a price, asked for through the client where it can ask.

The SDK asks in both protocol eras: with a request of its own while the call waits, or, from
2026-07-28 on, by answering the call with the question and taking the same call again.
"""

from dataclasses import dataclass

from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Elicit
from pydantic import BaseModel, Field

from .price_gate import Quote
from .state import ToolContext

ERA_OF_ROUNDS = "2026-07-28"


class Approval(BaseModel):
    """What a person answers."""

    approve: bool = Field(
        default=True, title="Start it", description="The Creative Units are then spent."
    )


@dataclass(frozen=True)
class Unasked:
    """Nobody had to be asked, or nobody could be."""


def question(what: str, quote: Quote) -> Elicit[Approval]:
    """The question about a price; `what` would be started: "4 outputs with Some Model"."""
    price = f" for {quote.total:g} CU" if quote.total is not None else ""
    unknown = "" if price else " Its price could not be had."
    excluded = " References are not in the price." if quote.references_refused else ""
    balance = f"{quote.balance:g} CU" if quote.balance is not None else "unknown"
    sentence = f"Start {what}{price}?{unknown}{excluded} The balance is {balance}."
    return Elicit(sentence, Approval)


def can_ask(context: ToolContext) -> bool:
    """Whether the client of this call can show a form to a person."""
    capabilities = context.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    if elicitation is None or (elicitation.form is None and elicitation.url is not None):
        return False
    version = context.protocol_version
    in_rounds = version is not None and version >= ERA_OF_ROUNDS
    return in_rounds or context.session.can_send_request


def is_approved(result: ElicitationResult[Approval]) -> bool:
    """Whether the call may go on: a person said yes, or nobody had to be asked."""
    if not isinstance(result, AcceptedElicitation):
        return False
    return isinstance(result.data, Unasked) or result.data.approve
