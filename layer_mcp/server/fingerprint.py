"""What makes two requests equal: a digest of what Layer would be asked."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast


def fingerprint(
    kind: str,
    workspace_id: str,
    subject_id: str,
    parameters: dict[str, Any],
    contents: Mapping[str, str] | None = None,
) -> str:
    """The same text for requests that ask Layer for the same, in whatever order and spelling.

    `parameters` is what goes to Layer, as plain JSON, with its defaults written out. `contents` has
    the SHA-256 of files by their ids: a file that is uploaded anew stays the same.
    """
    normal = _normal(parameters, contents or {})
    asked = [kind, workspace_id.lower(), subject_id.lower(), normal]
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _normal(value: Any, contents: Mapping[str, str]) -> Any:
    """A value in which 1.0 is 1, absent is the same as null, and a known file is its content."""
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        return {name: _normal(item, contents) for name, item in given.items() if item is not None}
    if isinstance(value, list):
        return [_normal(item, contents) for item in cast("list[Any]", value)]
    if isinstance(value, str):
        return contents.get(value, value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
