"""What a person can do about a failure, in the words of the command line."""

from typing import Any

from .output import plain

NEXT_STEPS = {
    "MISSING_TOKEN": "Run layer-mcp login, or try it with --sandbox.",
    "UNAUTHENTICATED": "Create a new Personal Access Token at app.layer.ai > Settings, and run "
    "layer-mcp login.",
    "WORKSPACE_NOT_FOUND": "Name one of this account with --workspace or LAYER_WORKSPACE_ID.",
    "WORKSPACE_REQUIRED": "Name one with --workspace or LAYER_WORKSPACE_ID.",
    "MODEL_NOT_FOUND": "layer-mcp models lists the models.",
    "INFERENCE_NOT_FOUND": "layer-mcp runs lists the runs; --workspace names where it was started.",
    "NOT_FOUND": "Check the id.",
    "FILE_NOT_FOUND": "Check the path.",
    "INVALID_INPUTS": "Correct it and try again.",
    "INVALID_ARGUMENTS": "Correct it and try again; nothing was sent.",
    "PRICE_ABOVE_MAX": "Make it cheaper, or raise --max-price.",
    "PRICE_ABOVE_LIMIT": "Make it cheaper, or raise the limit.",
    "SPENDING_LIMIT_REACHED": "Wait, make it cheaper, or raise the limit.",
    "DECLINED": "",
    "NOT_ANSWERED": "",
    "OUTCOME_UNKNOWN": "Look in Layer (app.layer.ai): the run may exist and be charged. --repeat "
    "sends it again.",
    "SUBMISSION_UNDER_WAY": "layer-mcp runs shows what becomes of it.",
    "RUNS_AT_LIMIT": "Wait for one to end; layer-mcp runs --status running lists them.",
    "FOLDER_NOT_WRITABLE": "Name another folder with --out.",
    "DISK_FULL": "Free some space, or name a folder of another disk with --out.",
    "JOURNAL_UNAVAILABLE": "Make that folder writable, or set LAYER_STATE_DIR to another.",
    "PRICE_UNKNOWN": "Try again in a minute.",
}
PRICE = "estimated_price_creative_units"


def failure_in_words(content: dict[str, Any], step: str | None = None) -> str:
    """A failed call as one line: what happened, the run if one is known, the next step."""
    message = plain(content["error"]["message"])
    if step is not None:
        return f"{message} {step}"
    run_id = content.get("inference_id") or content.get("run_id")
    is_known = run_id and not content["error"]["code"].endswith("NOT_FOUND")
    known = f"The run is {run_id}." if is_known else ""
    return " ".join(part for part in (message, known, next_step(content)) if part)


def next_step(content: dict[str, Any]) -> str:
    """The next step of a failed call; the tool's own where it has no other for people."""
    code = content["error"]["code"]
    if code == "CONFIRMATION_REQUIRED":
        return f"To agree to it, add --max-price {content[PRICE]:g}."
    step = NEXT_STEPS.get(code)
    return plain(content["next_step"]) if step is None else step
