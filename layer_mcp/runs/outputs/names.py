"""Choose names for saved outputs that are readable, and safe on every system."""

import re
import sys
import unicodedata

from ...errors import LayerError
from ...media.types import EXTENSIONS

MAX_SLUG_CHARACTERS = 40
MAX_SLUG_BYTES = 80
MAX_NAME_BYTES = 100
MAX_COPIES = 1000
FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
# Device names on Windows.
RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{device}{digit}" for device in ("COM", "LPT") for digit in "0123456789¹²³"}
)


def slug_of(text: str | None, encoding: str | None = None) -> str:
    """Return the readable start of a file name: lowercase words of the prompt, joined by dashes.

    Keeps letters with their marks and digits of any script (NFKC), if `encoding` supports them (by
    default, this system's). The result has at most 40 characters and 80 bytes of UTF-8, and is
    "output" if nothing is left.
    """
    plain = unicodedata.normalize("NFKC", text or "").lower()
    plain = _writable(plain, encoding or sys.getfilesystemencoding())
    letters = "".join(c if _is_of_a_word(c) else " " for c in unicodedata.normalize("NFKC", plain))
    words = (_without_leading_marks(word) for word in letters.split())
    joined = "-".join(word for word in words if word)[:MAX_SLUG_CHARACTERS]
    return _cut_to_bytes(joined, MAX_SLUG_BYTES).strip("-") or "output"


def _writable(text: str, encoding: str) -> str:
    """Return the text in an encoding; unsupported letters lose their marks, or are dropped."""
    held = (c if c.encode(encoding, "ignore") else unicodedata.normalize("NFKD", c) for c in text)
    return "".join(held).encode(encoding, "ignore").decode(encoding)


def output_name(slug: str, run_id: str, number: int, extension: str) -> str:
    """Return the name of one output: `<slug>-<start of the run's id>-<number>.<extension>`.

    `slug` comes from `slug_of` and `extension` from `extension_for`. The ID is shortened to its
    first eight characters from 0-9 and a-z.
    """
    start = re.sub("[^0-9a-z]", "", run_id.lower())[:8] or "run"
    return f"{slug}-{start}-{number}.{extension}"


def check_name(name: str) -> str:
    """Return a name that a caller chose for files, without the extension.

    Raises:
        LayerError: INVALID_ARGUMENTS if it contains a folder, or some system doesn't allow it.
    """
    name = unicodedata.normalize("NFC", name).strip()
    stem, dot, extension = name.rpartition(".")
    stem = stem if dot and extension.lower() in EXTENSIONS else name
    is_plain = (
        stem
        and not stem.startswith((".", "-"))
        and not stem.endswith((".", " "))
        and not FORBIDDEN.search(stem)
        and all(unicodedata.category(c)[0] != "C" for c in stem)
        and stem.split(".")[0].strip().upper() not in RESERVED
        and len(stem.encode(errors="replace")) <= MAX_NAME_BYTES
    )
    if not is_plain:
        sentence = "name must be a file name without folders or special characters."
        raise LayerError("INVALID_ARGUMENTS", sentence, next_step="Use a name such as sword.")
    return stem


def chosen_name(stem: str, number: int, count: int, extension: str) -> str:
    """Return the name of an output from a name that a caller chose: `sword.png`, `sword_01.png`.

    `stem` comes from `check_name`; `count` outputs share it.
    """
    digits = max(2, len(str(count)))
    return f"{stem}.{extension}" if count == 1 else f"{stem}_{number:0{digits}}.{extension}"


def is_named(name: str, wanted: str) -> bool:
    """Return whether a file has this name, or is a numbered copy of it."""
    stem, _, extension = wanted.rpartition(".")
    copy = re.fullmatch(rf"{re.escape(stem)}-copy\d+\.{re.escape(extension)}", name)
    return name == wanted or copy is not None


def numbered(name: str, attempt: int) -> str:
    """Return the name for an attempt: 1 is the name itself, 2 is `a-1-copy2.png`."""
    if attempt <= 1:
        return name
    stem, dot, extension = name.rpartition(".")
    return f"{stem}-copy{attempt}.{extension}" if dot else f"{name}-copy{attempt}"


def _is_of_a_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _without_leading_marks(word: str) -> str:
    """Drop marks without a letter before them, which would attach to the dash."""
    while word and unicodedata.category(word[0])[0] == "M":
        word = word[1:]
    return word


def _cut_to_bytes(text: str, limit_bytes: int) -> str:
    return text.encode()[:limit_bytes].decode(errors="ignore")
