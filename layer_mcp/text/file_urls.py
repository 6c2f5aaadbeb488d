"""Local paths in file URLs."""

from urllib.parse import urlsplit


def is_file_url(text: str) -> bool:
    """Return whether a text is written as a file URL."""
    return text[:5].lower() == "file:"


def path_of_file_url(url: str) -> str | None:
    """Return the local path in a file URL, or None if it names another machine.

    Raises:
        ValueError: The text isn't a URL.
    """
    # It loads the standard library's HTTP client.
    from urllib.request import url2pathname  # noqa: PLC0415

    parts = urlsplit(url)
    return url2pathname(parts.path) if parts.netloc in ("", "localhost") else None
