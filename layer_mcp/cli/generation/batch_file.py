"""The file for `generate --from`: one prompt per line, or requests as JSON."""

import codecs
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from ...arguments import normalize
from ...runs.drafts import InferenceDraft
from ...schema import JsonObject, portable_schema
from ..parser import UsageError

STDIN = "-"
MAX_REQUESTS = 100
MAX_FILE_BYTES = 10_000_000


def read_batch(file: str) -> list[JsonObject]:
    """Return the requests in a file, each with the fields that it sets.

    Raises:
        UsageError: the file can't be read, or has no requests, too many, or an invalid one.
    """
    requests = [
        _read_request(number, item) for number, item in enumerate(_read_items(_read_text(file)), 1)
    ]
    if not requests:
        raise UsageError("The file is empty. Put a prompt on each line.")
    if len(requests) > MAX_REQUESTS:
        sentence = f"The file has {len(requests)} requests; a batch can have {MAX_REQUESTS}."
        raise UsageError(f"{sentence} Split the file.")
    return requests


def _read_text(file: str) -> str:
    if file == STDIN:
        data = sys.stdin.buffer.read(MAX_FILE_BYTES) if sys.stdin else b""
    else:
        with Path(file).expanduser().open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES)
    # PowerShell writes UTF-16 when output is redirected to a file.
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf_16 else "utf-8-sig", "replace")


def _read_items(text: str) -> Iterator[Any]:
    """Yield prompts and objects, from one JSON array or from each line."""
    if text.lstrip().startswith("["):
        try:
            yield from json.loads(text)
        except (ValueError, RecursionError):
            raise UsageError("The file begins with [, but isn't a JSON array.") from None
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _read_line(number, line.strip())


def _read_line(number: int, line: str) -> Any:
    """Parse a line as JSON, or return it as text."""
    if not line.startswith(("{", '"')):
        return line
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        # A prompt may begin with a quoted word.
        if line.startswith('"'):
            return line
        raise UsageError(f"Line {number} begins with {{, but isn't JSON.") from None


def _read_request(number: int, item: Any) -> JsonObject:
    if isinstance(item, str):
        return {"prompt": item}
    if not isinstance(item, dict):
        raise UsageError(f"request {number}: must be a prompt or an object with a prompt.")
    request = cast("JsonObject", normalize(item, portable_schema(InferenceDraft)))
    if "workspace_id" in request:
        raise UsageError(f"request {number}: use --workspace instead of workspace_id.")
    return request
