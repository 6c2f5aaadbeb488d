"""Remarks about an output that differs from the request, for a person to check."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...api.models import Output
from ...media.facts import describe_facts
from ...media.json_values import is_number
from ..types.run import Run
from .record import MeasuredFile

# Encoders count frames and samples differently.
LEAST_DIFFERENCE_SECONDS = 0.5
LEAST_DIFFERENCE_SHARE = 0.1
FRAME_RATE_TOLERANCE = 0.5
FACES_TOLERANCE = 1.05
# At 1, the step across the edge is like the steps inside.
VISIBLE_SEAM = 2.0
TILING_WORDS = re.compile(r"\b(seamless(ly)?|tile?able|tiling)\b", re.IGNORECASE)
OPAQUE = ("none", "unused")
VECTOR_TYPE = "image/svg+xml"


def list_remarks(run: Run, number: int, measured: MeasuredFile | None) -> list[str]:
    """Return short remarks about an output of a run, or [] if it matches the request.

    Numbers start at 1. If the file wasn't measured, only Layer's facts about the output are known.
    """
    facts = _known_facts(run.outputs[number - 1], measured)
    if measured is None:
        return list(_compare(run, facts))
    if measured.is_changed:
        return ["changed after it was saved"]
    is_other = measured.declared_type is not None
    declared = [f"{measured.content_type}, not {measured.declared_type}"] if is_other else []
    asked = _compare(run, facts | {"content_type": measured.content_type})
    return [*declared, *asked, *describe_facts(measured.content_type, facts)]


def remark_on_count(run: Run) -> str | None:
    """Return a sentence if a finished run has a different number of outputs than requested."""
    asked, made = run.request.output_count, len(run.outputs)
    if run.state != "complete" or asked is None or made in (0, asked):
        return None
    return f"Asked for {asked} output{'s' if asked != 1 else ''}, got {made}."


def _known_facts(output: Output, measured: MeasuredFile | None) -> dict[str, Any]:
    declared = output.model_dump(include={"width", "height", "duration_seconds"}, exclude_none=True)
    return declared | dict(measured.facts if measured else {})


def _compare(run: Run, facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield differences from the request, except changes that Layer announced."""
    if run.request.kind != "inference":
        return
    changed = {text.partition(" ")[0] for text in run.changed_parameters or []}
    asked = {name: value for name, value in run.request.body.items() if name not in changed}
    yield from _compare_picture(asked, facts)
    yield from _compare_clip(asked, facts)
    yield from _compare_mesh(asked, facts)


def _compare_picture(asked: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    if asked.get("remove_background") is True and facts.get("alpha") in OPAQUE:
        yield "opaque: no transparency"
    if asked.get("vectorize") is True and facts.get("content_type", VECTOR_TYPE) != VECTOR_TYPE:
        yield "not a vector file"
    yield from _compare_sides(asked, facts)
    if TILING_WORDS.search(str(asked.get("prompt") or "")):
        seams = {"left to right": "seam_x", "top to bottom": "seam_y"}
        seen = [way for way, name in seams.items() if (_number(facts, name) or 0) >= VISIBLE_SEAM]
        if seen:
            yield f"a seam shows when tiled {' and '.join(seen)}"


def _compare_sides(asked: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    sides = {side: (asked.get(side), facts.get(side)) for side in ("width", "height")}
    known = {side: values for side, values in sides.items() if None not in values}
    if all(want == have for want, have in known.values()):
        return
    if len(known) == len(sides):
        wanted, made = ("x".join(map(str, values)) for values in zip(*known.values(), strict=True))
        yield f"{made}, not {wanted}"
    else:
        yield from (f"{side} {have}, not {want}" for side, (want, have) in known.items())


def _compare_clip(asked: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    want, have = _number(asked, "duration_seconds"), _number(facts, "duration_seconds")
    if want is not None and have is not None:
        allowed = max(LEAST_DIFFERENCE_SECONDS, LEAST_DIFFERENCE_SHARE * want)
        if abs(want - have) > allowed:
            yield f"{have:g} s long, not {want:g} s"
    want, have = _number(asked, "fps"), _number(facts, "frame_rate")
    if want is not None and have is not None and abs(want - have) > FRAME_RATE_TOLERANCE:
        yield f"{have:g} frames a second, not {want:g}"
    if asked.get("generate_audio") is True and facts.get("has_sound") is False:
        yield "no sound"


def _compare_mesh(asked: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    if asked.get("include_textures") is True and facts.get("textures") == 0:
        yield "no textures"
    limit, triangles = _number(asked, "face_limit"), _number(facts, "triangles")
    # A quad is two triangles.
    faces = 2 if asked.get("quad_mesh") is True else 1
    if limit is not None and triangles is not None and triangles > limit * faces * FACES_TOLERANCE:
        yield f"{triangles:,} triangles, not at most {limit * faces:,}"


def _number(values: Mapping[str, Any], name: str) -> float | None:
    """Return a value if it is a number; records can be edited by hand."""
    value = values.get(name)
    return value if is_number(value) else None
