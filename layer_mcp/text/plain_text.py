"""Remove characters that control a terminal, are invisible, or change direction."""

import re

MAX_QUOTED_LENGTH = 80

# C0 and C1 controls except tab and line feed, invisible marks such as U+200B, marks and overrides
# of direction, halves of surrogate pairs, and the block of tag characters. Joiners and variation
# selectors stay: emoji and some scripts need them.
UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e00ff]"
)
LINE_BREAK = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# More than one in a row has no effect, and can carry hidden text.
REPEATED_MARK = re.compile(
    r"(?<=[\u200c\u200d])[\u200c\u200d]+"
    r"|(?<=[\ufe00-\ufe0f\U000e0100-\U000e01ef])[\ufe00-\ufe0f\U000e0100-\U000e01ef]+"
)
QUOTE = re.compile(r'["\u00ab\u00bb\u201c-\u201f\u301d-\u301f\uff02]')


def remove_controls(text: str) -> str:
    """Return text without unsafe characters, keeping tabs and normalizing line breaks."""
    if text.isascii() and text.isprintable():
        return text
    return REPEATED_MARK.sub("", UNSAFE.sub("", LINE_BREAK.sub("\n", text)))


def one_line(text: str, max_length: int | None = None) -> str:
    """Return text as one line without unsafe characters, shortened with "..." if it is longer."""
    line = " ".join(remove_controls(text).split())
    if max_length is None or len(line) <= max_length:
        return line
    return line[: max_length - 3].rstrip() + "..."


def quote(text: str) -> str:
    """Return a name in double quotes, as one short line that can't close them."""
    inside = QUOTE.sub("'", one_line(text, MAX_QUOTED_LENGTH))
    return f'"{inside}"'
