"""Clean a host's response before anything is read from it.

Every response from Layer's API passes through here. Afterwards, its text contains neither the token
nor unsafe characters, and its numbers aren't too large to calculate with.
"""

import math
import re
from typing import Any, cast

from pydantic_core import from_json, to_json

from .plain_text import remove_controls
from .redact import Redactor

# Larger integers don't fit into a database or other programs' JSON.
MAX_INTEGER = 2**63 - 1
MAX_NUMBER = 1e15
# Ten times the longest text in a request.
MAX_CLEANED_LENGTH = 1_000_000

# Anything but printable ASCII, starts of encoded characters, and large numbers. A body without
# these can only need cleaning if it contains the plain token, which is checked.
SUSPICIOUS = re.compile(
    rb"[^\t\n\r -~]|[\\%&]|NaN|Infinity|[0-9]{16}|[:\[,][ \t\r\n]*-?[0-9.]+[eE]"
)


def clean_body(body: bytes, redactor: Redactor) -> bytes:
    """Return the body of a response without the token, unsafe characters, and huge numbers.

    A body that isn't JSON, or is truncated, is cleaned as text. Numbers that are too large become
    null.
    """
    if not SUSPICIOUS.search(body) and not redactor.may_hold(body.decode()):
        return body
    try:
        content = from_json(body)
    except ValueError:
        return clean_text(body.decode(errors="replace"), redactor).encode()
    return to_json(_clean(content, redactor))


def clean_text(text: str, redactor: Redactor) -> str:
    """Return text from a host without the token and unsafe characters."""
    cleaned = remove_controls(text[:MAX_CLEANED_LENGTH])
    redacted = redactor.redact(cleaned)
    # Decoded text may be unsafe too.
    return redacted if redacted is cleaned else remove_controls(redacted)


def _clean(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str):
        return clean_text(value, redactor)
    if isinstance(value, dict):
        return {
            clean_text(name, redactor): _clean(item, redactor)
            for name, item in cast("dict[str, Any]", value).items()
        }
    if isinstance(value, list):
        return [_clean(item, redactor) for item in cast("list[Any]", value)]
    if isinstance(value, int):
        return value if abs(value) <= MAX_INTEGER else None
    if isinstance(value, float):
        return value if math.isfinite(value) and abs(value) <= MAX_NUMBER else None
    return value
