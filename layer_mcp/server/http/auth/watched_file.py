"""The file of tokens of a running server, which reads it again when it changes."""

import logging
import os
from pathlib import Path

from ....access.token_file import TokenFile, read_token_file
from ....settings import SettingsError

Stamp = tuple[int, int, int, int, int]

logger = logging.getLogger(__name__)


class WatchedTokenFile:
    """A file of tokens, or none.

    A change counts from the next request on. If the new content is invalid, the old tokens stay
    valid, and the log says why. Without the file, no token is valid.

    Raises:
        SettingsError: The file is missing or invalid.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp = _stamp_of(path) if path else None
        self._content = read_token_file(path) if path else TokenFile()

    def current(self) -> TokenFile:
        """Return the tokens that are valid now."""
        if self._path is not None:
            # Taken before reading: a change in between is seen by the next request.
            stamp = _stamp_of(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                self._reload(self._path, is_missing=stamp is None)
        return self._content

    def _reload(self, path: Path, *, is_missing: bool) -> None:
        if is_missing:
            logger.warning("The tokens file %s is missing. No token is valid.", path)
            self._content = TokenFile()
            return
        try:
            self._content = read_token_file(path)
        except SettingsError as error:
            logger.warning("%s The tokens from before the change stay valid.", error)


def _stamp_of(path: Path) -> Stamp | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Any other failure is a state of its own, whose reason reading the file tells.
    except OSError:
        return (0, 0, 0, 0, 0)
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
