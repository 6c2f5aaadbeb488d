"""What a call would start, its price, and what a person has to approve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .budget import CallBudget
from .request import RunRequest
from .run import Run


@dataclass(frozen=True)
class Quote:
    """The price of a call's runs and the available balance; None where Layer gave no price.

    `reason_unknown` says why a price is missing. `is_covered` is Layer's verdict on the balance.
    `references_refused` is Layer's message if it didn't price the references.
    """

    prices: Sequence[float | None]
    workspace_id: str
    balance: float | None = None
    is_covered: bool = True
    reason_unknown: str | None = None
    references_refused: str | None = None

    @property
    def total(self) -> float | None:
        """The price of all runs in Creative Units; None if any price is unknown."""
        known = [price for price in self.prices if price is not None]
        return round(math.fsum(known), 4) if len(known) == len(self.prices) else None


@dataclass(frozen=True)
class SubmitOptions:
    """A caller's options for paying; `is_batch` leaves runs without a slot in the queue."""

    max_price_creative_units: float | None = None
    repeat: bool = False
    is_batch: bool = False


@dataclass(frozen=True)
class Plan:
    """What a call would start: its requests, the runs that already cover some, and a quote.

    Planning is free and can be repeated: a question to a person takes the same call twice.
    """

    requests: Sequence[RunRequest]
    duplicates: Sequence[Run | None]
    quote: Quote | None
    options: SubmitOptions
    budget: CallBudget

    @property
    def new(self) -> list[RunRequest]:
        """The requests that aren't covered by an earlier run."""
        pairs = zip(self.requests, self.duplicates, strict=True)
        return [request for request, duplicate in pairs if duplicate is None]

    @property
    def ignored(self) -> tuple[str, ...]:
        """The arguments of the new requests that a model ignores."""
        return tuple(dict.fromkeys(name for one in self.new for name in one.ignored))


@dataclass(frozen=True)
class Confirmation:
    """What a person has to approve: `subject` would start, such as "4 outputs in 2 runs".

    `ignored` are the arguments that a model ignores. `names` are Layer's names for the first models
    or the workflow, and `more_names` counts the rest. They come from Layer, so show them last and
    quoted.
    """

    subject: str
    quote: Quote
    names: tuple[str, ...] = ()
    more_names: int = 0
    ignored: tuple[str, ...] = ()
