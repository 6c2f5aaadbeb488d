"""Measure facts about a media file, and describe those that a person should know."""

import logging
import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, BinaryIO, cast

from ..text.plain_text import one_line
from .types import Kind, kind_of

NAME = re.compile(r"[a-z0-9_]{1,40}")
MAX_FACTS = 40
MAX_TEXT_LENGTH = 200
MAX_LIST_LENGTH = 32
MAX_NUMBER = 1e15

Measure = Callable[[BinaryIO, int, str], dict[str, Any]]
Describe = Callable[[Mapping[str, Any]], list[str]]

logger = logging.getLogger(__name__)


def measure_facts(file: BinaryIO, size_bytes: int, content_type: str | None) -> dict[str, Any]:
    """Return facts about a file: flat, without nulls, with units in the names.

    `content_type` comes from `sniff`. Facts are optional: what can't be measured is omitted. This
    blocks, so call it in a thread.
    """
    from .content_credentials import has_content_credentials  # noqa: PLC0415  only for files

    functions = _functions(kind_of(content_type))
    if content_type is None or functions is None:
        return {}
    measure, _ = functions
    try:
        measured = measure(file, size_bytes, content_type)
        if has_content_credentials(file, size_bytes, content_type):
            measured["content_credentials"] = True
    # A file can be broken in more ways than any parser expects.
    except Exception:
        logger.warning("Couldn't measure a file of type %s", content_type, exc_info=True)
        return {}
    return clean_facts(measured)


def describe_facts(content_type: str | None, facts: Mapping[str, Any]) -> list[str]:
    """Return short remarks that a person should check before using the file."""
    functions = _functions(kind_of(content_type)) if facts else None
    if functions is None:
        return []
    _, describe = functions
    return [one_line(text, MAX_TEXT_LENGTH) for text in describe(facts)]


def clean_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts of limited size without unsafe characters.

    Names in a file are untrusted, and a record can be edited.
    """
    named = ((name, value) for name, value in facts.items() if NAME.fullmatch(name))
    cleaned = ((name, _clean(value)) for name, value in islice(named, MAX_FACTS))
    return {name: value for name, value in cleaned if value is not None}


def _functions(kind: Kind | None) -> tuple[Measure, Describe] | None:
    """Return the functions that measure and describe a kind of media."""
    # Imported late, because a server must start fast.
    if kind == "image":
        from .image_facts import describe_image, measure_image  # noqa: PLC0415

        return measure_image, describe_image
    if kind == "audio":
        from .sound_facts import describe_sound, measure_sound  # noqa: PLC0415

        return measure_sound, describe_sound
    if kind == "video":
        from .video_facts import describe_video, measure_video  # noqa: PLC0415

        return measure_video, describe_video
    if kind == "mesh":
        from .mesh_facts import describe_mesh, measure_mesh  # noqa: PLC0415

        return measure_mesh, describe_mesh
    return None


def _clean(value: Any) -> Any:
    """Return a plain value, or None for anything else."""
    if isinstance(value, str):
        return one_line(value, MAX_TEXT_LENGTH)
    if isinstance(value, list):
        items = (_clean(item) for item in cast("list[Any]", value)[:MAX_LIST_LENGTH])
        return [item for item in items if not isinstance(item, list | None)]
    # Not math.isfinite, which raises for JSON's large integers.
    return value if isinstance(value, int | float) and abs(value) <= MAX_NUMBER else None
