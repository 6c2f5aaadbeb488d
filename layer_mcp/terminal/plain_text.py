"""Foreign text made safe for a terminal: prompts, names and messages that others wrote."""

import unicodedata

# Controls, halves of surrogate pairs, and what has no meaning yet.
REMOVED = frozenset({"Cc", "Cf", "Cs", "Cn", "Co"})
# They join letters and emoji, and move nothing.
JOINERS = "\u200c\u200d"


def plain(text: object) -> str:
    """The text as one line that moves no cursor, changes no colour and turns no direction."""
    line = " ".join(str(text).split())
    return "".join(
        letter
        for letter in line
        if letter in JOINERS or unicodedata.category(letter) not in REMOVED
    )
