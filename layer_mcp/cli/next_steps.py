"""A failed call as a person at a terminal reads it."""

from typing import Any

from ..errors import next_step_for_person
from .output import plain

PRICE = "estimated_price_creative_units"


def failure_in_words(content: dict[str, Any], step: str | None = None) -> str:
    """Return a failed call as one line: what happened, the run if one is known, the next step."""
    message = plain(content["error"]["message"])
    if step is not None:
        return f"{message} {step}"
    run_id = content.get("inference_id") or content.get("run_id")
    is_known = run_id and not content["error"]["code"].endswith("NOT_FOUND")
    known = f"The run is {run_id}." if is_known else ""
    return " ".join(part for part in (message, known, next_step(content)) if part)


def next_step(content: dict[str, Any]) -> str:
    """Return the next step for a person; the tool's own if the table has no other."""
    code = content["error"]["code"]
    if code == "CONFIRMATION_REQUIRED":
        return f"To agree to it, add --max-price {content[PRICE]:g}."
    step = next_step_for_person(code)
    return plain(content["next_step"]) if step is None else step
