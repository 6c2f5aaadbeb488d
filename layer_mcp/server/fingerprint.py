"""What makes two requests equal: a digest of what Layer would be asked."""

import hashlib
import json
from typing import Any, cast


def fingerprint(kind: str, workspace_id: str, subject_id: str, parameters: dict[str, Any]) -> str:
    """The same text for requests that ask Layer for the same, in whatever order and spelling.

    `parameters` is what goes to Layer, as plain JSON, with its defaults written out.
    """
    asked = [kind, workspace_id.lower(), subject_id.lower(), _normal(parameters)]
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _normal(value: Any) -> Any:
    """A value in which 1.0 is 1, and absent is the same as null."""
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        return {name: _normal(item) for name, item in given.items() if item is not None}
    if isinstance(value, list):
        return [_normal(item) for item in cast("list[Any]", value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
