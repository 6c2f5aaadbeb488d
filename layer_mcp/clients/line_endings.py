"""Line endings of a configuration's text, which edits keep."""


def newline_of(text: str) -> str:
    """Return the line ending that a text uses first."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"
