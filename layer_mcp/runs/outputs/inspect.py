"""Detect what a downloaded file contains, and whether it's an output at all."""

import hashlib
from io import BufferedRandom
from typing import BinaryIO

from ...api.download import Downloaded
from ...api.models import Output
from ...errors import LayerError
from ...media.facts import measure_facts
from ...media.sniff import sniff_file
from ...media.types import (
    GENERAL_TYPES,
    canonical_type,
    extension_of,
    is_page,
    replaces_medium,
    same_type,
)
from .record import MeasuredFile

PROGRAM_MARKS = (b"\x7fELF", b"MZ", b"#!", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe")


def inspect_output(
    file: BufferedRandom, done: Downloaded, output: Output
) -> tuple[MeasuredFile, str]:
    """Inspect a download, and return what it contains and its SHA-256.

    Blocks while it reads, so call it in a thread.

    Raises:
        LayerError: DOWNLOAD_FAILED if it can't be the output: an empty or incomplete file, a
            page, or a program.
        OSError: the file can't be read.
    """
    if done.size_bytes == 0:
        raise LayerError("DOWNLOAD_FAILED", "The media host sent an empty file.")
    if not done.has_known_length and output.file_size_bytes not in (None, done.size_bytes):
        raise LayerError("DOWNLOAD_FAILED", "The file arrived incomplete.")
    measured = measure_output(file, done.size_bytes, output, done.content_type)
    if "flaw" in measured.facts and done.size_bytes < (output.file_size_bytes or 0):
        raise LayerError("DOWNLOAD_FAILED", "The file is shorter than Layer declared.")
    file.seek(0)
    return measured, hashlib.file_digest(file, "sha256").hexdigest()


def measure_output(
    file: BinaryIO, size_bytes: int, output: Output, sent_type: str | None = None
) -> MeasuredFile:
    """Return what an output contains; `sent_type` is the type that the media host sent.

    Raises:
        LayerError: DOWNLOAD_FAILED for a page or program instead of media.
        OSError: the file can't be read.
    """
    sniffed = sniff_file(file, size_bytes)
    file.seek(0)
    is_program = sniffed is None and file.read(4).startswith(PROGRAM_MARKS)
    if is_program or replaces_medium(sniffed, output.content_type, output.url):
        what = "a program" if is_program else _describe_page(sniffed)
        raise LayerError("DOWNLOAD_FAILED", f"The media host sent {what} instead of the file.")
    declared = output.content_type or sent_type or None
    content_type = _choose_type(sniffed, declared)
    return MeasuredFile(
        content_type,
        size_bytes,
        declared if not same_type(content_type, declared) else None,
        measure_facts(file, size_bytes, content_type),
    )


def is_wrong_file(file: BinaryIO, size_bytes: int, declared: str | None, url: str | None) -> bool:
    """Return whether a saved file is empty, or a page instead of the output."""
    return size_bytes == 0 or replaces_medium(sniff_file(file, size_bytes), declared, url)


def _choose_type(sniffed: str | None, declared: str | None) -> str | None:
    """Return the type by content, or the declared type if the content doesn't show it."""
    # A ZIP may be the declared USDZ, and a text the declared OBJ.
    is_general = sniffed in GENERAL_TYPES or is_page(sniffed)
    is_named = extension_of(declared) is not None and same_type(sniffed, declared)
    by_bytes = None if is_general and is_named else sniffed
    return by_bytes or canonical_type(declared) or None


def _describe_page(sniffed: str | None) -> str:
    return {"text/html": "a web page", "application/json": "JSON"}.get(sniffed or "", "text")
