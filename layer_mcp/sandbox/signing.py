"""Signed upload URLs: the headers of the request that follows are part of the signature."""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode

from .records import Upload

SIGNED_HEADERS = ("content-type", "x-goog-content-length-range", "x-goog-resumable")
SIGNATURE = "X-Goog-Signature"


def signed_query(key: bytes, path: str, upload: Upload, lifetime_seconds: float) -> str:
    """The query that lets one upload start at this path."""
    headers = {
        "content-type": upload.content_type,
        "x-goog-content-length-range": f"0,{upload.size_bytes}",
        "x-goog-resumable": "start",
    }
    return urlencode(
        {
            "X-Goog-Algorithm": "GOOG4-HMAC-SHA256",
            "X-Goog-Expires": f"{lifetime_seconds:g}",
            "X-Goog-SignedHeaders": ";".join(SIGNED_HEADERS),
            SIGNATURE: _signature(key, path, headers),
        }
    )


def missing_header(headers: Mapping[str, str]) -> str | None:
    """The first signed header that a request lacks."""
    return next((name for name in SIGNED_HEADERS if name not in headers), None)


def is_signed(key: bytes, path: str, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    """Whether the signature in the query belongs to the path and the headers of the request."""
    expected = _signature(key, path, headers)
    return hmac.compare_digest(expected.encode(), query.get(SIGNATURE, "").encode())


def _signature(key: bytes, path: str, headers: Mapping[str, str]) -> str:
    signed = "\n".join([path, *(f"{name}:{headers[name]}" for name in SIGNED_HEADERS)])
    return hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()
