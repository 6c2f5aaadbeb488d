"""Recognize requests that ask Layer for the same."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast


def fingerprint(
    kind: str,
    workspace_id: str,
    subject_id: str,
    body: Mapping[str, Any],
    files: Mapping[str, str],
) -> str:
    """Return a digest that's the same for requests that ask Layer for the same.

    `body` is sent to Layer, with its defaults written out. `files` maps file IDs to SHA-256, so a
    file that's uploaded again counts as the same file.
    """
    asked = [kind, workspace_id.lower(), subject_id.lower(), _normalize(body, files)]
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _normalize(value: Any, files: Mapping[str, str]) -> Any:
    """Return a value in which 1.0 is 1, null is absent, and a known file is its content."""
    if isinstance(value, Mapping):
        given = cast("Mapping[str, Any]", value)
        return {name: _normalize(item, files) for name, item in given.items() if item is not None}
    if isinstance(value, list):
        return [_normalize(item, files) for item in cast("list[Any]", value)]
    if isinstance(value, str):
        return files.get(value, value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
