"""Names of saved outputs: readable, and safe on every system."""

import re
import sys
import unicodedata

MAX_SLUG_CHARACTERS = 40
MAX_SLUG_BYTES = 80


def slug_of(text: str | None, encoding: str | None = None) -> str:
    """Make the readable start of a file name: lower-case words of the prompt, joined by dashes.

    Letters, their marks and digits of any script (NFKC), as far as names of files can hold them in
    `encoding`, by default this system's; at most 40 characters and 80 bytes of UTF-8; "output"
    when nothing is left.
    """
    plain = unicodedata.normalize("NFKC", text or "").lower()
    plain = _writable(plain, encoding or sys.getfilesystemencoding())
    letters = "".join(c if _is_of_a_word(c) else " " for c in unicodedata.normalize("NFKC", plain))
    words = (_without_leading_marks(word) for word in letters.split())
    joined = "-".join(word for word in words if word)[:MAX_SLUG_CHARACTERS]
    return _cut_to_bytes(joined, MAX_SLUG_BYTES).strip("-") or "output"


def _writable(text: str, encoding: str) -> str:
    """Return the text as an encoding can hold it: letters without their marks, or not at all."""
    held = (c if c.encode(encoding, "ignore") else unicodedata.normalize("NFKD", c) for c in text)
    return "".join(held).encode(encoding, "ignore").decode(encoding)


def output_name(slug: str, run_id: str, number: int, extension: str) -> str:
    """Return the name of one output: `<slug>-<start of the run's id>-<number>.<extension>`.

    `slug` is one of `slug_of`, `extension` one of `extension_for`; the id gives its first eight
    of 0-9 and a-z.
    """
    start = re.sub("[^0-9a-z]", "", run_id.lower())[:8] or "run"
    return f"{slug}-{start}-{number}.{extension}"


def numbered(name: str, attempt: int) -> str:
    """Return the name to try when it is taken: 1 is the name itself, 2 is `a-1-copy2.png`."""
    if attempt <= 1:
        return name
    stem, dot, extension = name.rpartition(".")
    return f"{stem}-copy{attempt}.{extension}" if dot else f"{name}-copy{attempt}"


def _is_of_a_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _without_leading_marks(word: str) -> str:
    """Drop marks that have no letter before them: they would sit on the dash."""
    while word and unicodedata.category(word[0])[0] == "M":
        word = word[1:]
    return word


def _cut_to_bytes(text: str, limit_bytes: int) -> str:
    return text.encode()[:limit_bytes].decode(errors="ignore")
