"""The line endings that edits preserve."""


def newline_of(text: str) -> str:
    """Return the first line ending in a text."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"
