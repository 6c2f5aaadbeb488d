"""Turn Layer's error responses into errors.

Layer returns problem+json (RFC 7807) whose `type` ends in a machine code. A 422 may instead be
FastAPI's list of invalid fields, and a proxy may return HTML.
"""

import math
import re
from collections.abc import Iterator

from pydantic import ValidationError

from ..errors import (
    CODE_BY_STATUS,
    Argument,
    LayerError,
    MessagePart,
    class_of,
    next_step_for,
    one_sentence,
)
from .models import FieldProblem, InferenceRequest, Problem

PROBLEM_MEDIA_TYPE = "application/problem+json"
LAYERS_PROBLEM = re.compile(r"https://api\.layer\.ai/errors/[A-Z][A-Z0-9_]{2,60}")
# Matches a truncated response: Layer's problems begin with their type.
CUT_PROBLEM = re.compile(rb'\s*\{\s*"type"\s*:\s*"([!#-\[\]-~]{1,200})"')
MACHINE_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,60}")

SENTENCES = {
    "UNAUTHENTICATED": "Layer rejected the token.",
    "INSUFFICIENT_BALANCE": "The workspace doesn't have enough Creative Units.",
    "FORBIDDEN": "The token doesn't have permission to do this.",
    "NOT_FOUND": "Layer has nothing at this URL, or nothing with this ID.",
    "INVALID_INPUTS": "Layer rejected the inputs.",
    "RATE_LIMITED": "You've reached Layer's limit on concurrent runs or runs per minute.",
    "SERVICE_UNAVAILABLE": "Layer is temporarily unavailable.",
    "SERVER_ERROR": "Layer had an internal error.",
    "TIMEOUT": "Layer didn't respond in time.",
    "REQUEST_REFUSED": "Layer rejected the request.",
}


def error_from_response(
    status: int, content_type: str, body: bytes, retry_after_seconds: float | None = None
) -> LayerError:
    """Return the error for a response with an HTTP status of 300 or more."""
    transient = status >= 500 or status in (408, 429)
    if 300 <= status < 400:
        return LayerError("UNEXPECTED_REDIRECT", f"The API URL redirects (HTTP {status}).")
    problem = _parse_problem(body)
    if problem is None and "html" in content_type and status not in (429, 503):
        return LayerError(
            "UNEXPECTED_RESPONSE",
            f"The API URL returned a web page instead of Layer's response (HTTP {status}).",
            transient=transient,
        )
    problem = problem or Problem()
    code = _code(status, problem)
    sentence = _detail(problem) or SENTENCES.get(code) or f"Layer returned HTTP {status}."
    return class_of(code, status)(
        code,
        list(_mark_fields(sentence)),
        next_step=_wait_step(status, retry_after_seconds) or next_step_for(code, status),
        transient=transient,
        retry_after_seconds=retry_after_seconds,
    )


def is_layers_own(content_type: str, body: bytes) -> bool:
    """Return whether an error answer is surely Layer's: a problem whose `type` is one of Layer's.

    A gateway may answer with the same status, in JSON too. The contract gives the type as
    `https://api.layer.ai/errors/<CODE>`. Of a body that was cut, its start is enough.
    """
    if content_type.partition(";")[0].strip().lower() != PROBLEM_MEDIA_TYPE:
        return False
    problem = _parse_problem(body)
    if problem is not None:
        return LAYERS_PROBLEM.fullmatch(problem.type or "") is not None
    cut = CUT_PROBLEM.match(body)
    return cut is not None and LAYERS_PROBLEM.fullmatch(cut[1].decode("ascii")) is not None


def _wait_step(status: int, retry_after_seconds: float | None) -> str | None:
    if retry_after_seconds is None or status not in (429, 503):
        return None
    return f"Wait {math.ceil(retry_after_seconds)} s, then call again."


def _parse_problem(body: bytes) -> Problem | None:
    try:
        return Problem.model_validate_json(body)
    except ValidationError:
        return None


def _code(status: int, problem: Problem) -> str:
    segment = (problem.type or "").rstrip("/").rpartition("/")[2]
    if MACHINE_CODE.fullmatch(segment) and segment != "ERROR_CODE":
        return segment
    return CODE_BY_STATUS.get(status) or ("SERVER_ERROR" if status >= 500 else "REQUEST_REFUSED")


def _detail(problem: Problem) -> str:
    if isinstance(problem.detail, list):
        return one_sentence("; ".join(_field_error(item) for item in problem.detail[:3]))
    return one_sentence(problem.detail or problem.title or "")


def _mark_fields(sentence: str) -> Iterator[MessagePart]:
    """Yield a sentence in parts: Layer begins with the refused field, before a colon."""
    for number, problem in enumerate(sentence.split("; ")):
        if number:
            yield "; "
        place, colon, rest = problem.partition(":")
        if colon and place.partition(".")[0] in InferenceRequest.model_fields:
            yield Argument(place)
            yield f":{rest}"
        else:
            yield problem


def _field_error(item: FieldProblem) -> str:
    place = ".".join(str(part) for part in item.loc or [] if part not in ("body", "path"))
    problem = item.msg or "invalid"
    return f"{place}: {problem}" if place else problem
