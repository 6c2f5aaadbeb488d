"""Foreign text made safe for a terminal: prompts, names and messages that others wrote."""

import json
import unicodedata
from typing import Any

# Controls, marks without a shape such as those of direction, and halves of surrogate pairs.
HARMFUL = frozenset({"Cc", "Cf", "Cs"})
# They join letters and emoji, and move nothing.
JOINERS = "\u200c\u200d"


def plain(text: object) -> str:
    """The text as one line that moves no cursor, changes no colour and turns no direction."""
    return harmless(" ".join(str(text).split()))


def harmless(line: str) -> str:
    """The same for a line of our own with foreign words in it: blanks stay as they are."""
    return "".join(letter for letter in line if not _is_harmful(letter))


def plain_json(content: dict[str, Any], *, ascii_only: bool) -> str:
    """A JSON document in which what would drive a terminal is escaped, too."""
    text = json.dumps(content, indent=2, ensure_ascii=ascii_only)
    return "".join(
        json.dumps(letter)[1:-1] if letter != "\n" and _is_harmful(letter) else letter
        for letter in text
    )


def _is_harmful(letter: str) -> bool:
    return letter not in JOINERS and unicodedata.category(letter) in HARMFUL
