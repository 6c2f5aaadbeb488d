"""What only Layer's response to a submission says about a run."""

from collections.abc import Mapping
from typing import Any

from ...api.models import StartedInference, StartedWorkflowRun
from ...text.plain_text import remove_controls
from .plain import time_as_text, without_nulls
from .request import RANDOM_SEED, RunRequest


def start_facts(
    request: RunRequest, started: StartedInference | StartedWorkflowRun
) -> dict[str, Any]:
    """Return the facts that only the response to a submission has, as plain JSON without nulls."""
    if isinstance(started, StartedWorkflowRun):
        return without_nulls({"session_id": started.session_id})
    return without_nulls(
        {
            "created_at": time_as_text(started.created_at),
            "session_id": started.session_id,
            "normalized": started.normalized_parameters,
            "changed": changed_parameters(request, started.normalized_parameters) or None,
        }
    )


def changed_parameters(request: RunRequest, normalized: Mapping[str, Any] | None) -> list[str]:
    """List the parameters that differ from the request, according to Layer's echo of it."""
    echo = normalized or {}
    asked = {name: value for name, value in request.body.items() if name in request.given}
    if asked.get("seed") == RANDOM_SEED:
        del asked["seed"]
    return [
        f"{name} asked {_short(value)}, "
        + ("not used" if echo[name] is None else f"runs {_short(echo[name])}")
        for name, value in asked.items()
        if name in echo and not _is_same(value, echo[name])
    ]


def _is_same(asked: Any, echoed: Any) -> bool:
    """Return whether the echo matches the request, even if it's text."""
    # The echo was cleaned.
    asked = remove_controls(asked) if isinstance(asked, str) else asked
    return asked == echoed or _short(asked) == _short(echoed)


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
