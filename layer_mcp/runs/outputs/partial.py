"""Keep incomplete downloads of outputs, so that a later call can resume them.

A small file next to the data records the version of the output. A process that uses both holds a
lock, so that two processes never write to the same file.
"""

import hashlib
import json
import re
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from io import BufferedRandom
from uuid import uuid4

from pydantic import TypeAdapter

from ...api.download import Version
from ...errors import LayerError
from ...files.folders import OpenFolder
from ...files.locks import try_lock

NAME = re.compile(r"\.[0-9a-f]{32}\.part(\.json)?")
NOTE = ".json"
MAX_NOTE_BYTES = 4096
# Without its version, a download can't be resumed.
STALE_SECONDS = 3600
STALE_RESUMABLE_SECONDS = 7 * 24 * 3600
FINAL_CODES = ("OUTPUT_TOO_LARGE", "OUTPUT_GONE", "HOST_NOT_ALLOWED")


class PartialFile:
    """The data of an output that has arrived, open for appending."""

    def __init__(
        self, folder: OpenFolder, name: str, sink: BufferedRandom, *, is_found_again: bool
    ) -> None:
        self.name = name
        self.sink = sink
        self.version = _read_note(folder, name)
        self._folder = folder
        self._is_found_again = is_found_again

    async def note(self, version: Version | None) -> None:
        """Record the version of the output; None can't be resumed."""
        self.version = version if self._is_found_again else None
        self._folder.remove(self.name + NOTE)
        if self.version is not None:
            with self._folder.create(self.name + NOTE) as file:
                file.write(json.dumps(asdict(self.version)).encode())

    def discard(self) -> None:
        """Delete the version, and the data unless it was moved to its final name."""
        self.version = None
        for name in (self.name, self.name + NOTE):
            with suppress(OSError):
                self._folder.remove(name)


@contextmanager
def open_partial(folder: OpenFolder, *key: str) -> Generator[PartialFile]:
    """Open the file for an output's data, including what an earlier call downloaded.

    `key` identifies the output. If the block ends early, resumable data is kept. If another process
    holds the file, a new one is used.

    Raises:
        OSError: the folder can't be written to.
    """
    partial = _open(folder, hashlib.sha256("\0".join(key).encode()).hexdigest()[:32])
    is_kept = False
    try:
        yield partial
    except LayerError as error:
        is_kept = partial.version is not None and error.code not in FINAL_CODES
        raise
    # Free the space on a full disk.
    except OSError:
        raise
    # The call was canceled, or the process is ending.
    except BaseException:
        is_kept = partial.version is not None
        raise
    finally:
        with suppress(OSError):
            partial.sink.close()
        if not is_kept:
            partial.discard()


def _open(folder: OpenFolder, key: str) -> PartialFile:
    name = f".{key}.part"
    sink = folder.open_or_create(name)
    if sink is not None:
        if try_lock(sink) and folder.is_same_file(name, sink):
            return PartialFile(folder, name, sink, is_found_again=True)
        sink.close()
    name = f".{uuid4().hex}.part"
    return PartialFile(folder, name, folder.create(name), is_found_again=False)


def sweep(folder: OpenFolder) -> None:
    """Delete files left behind by processes that were killed long ago."""
    names = {name for name in folder.names() if NAME.fullmatch(name)}
    for name in names:
        is_resumable = name.endswith(NOTE) or name + NOTE in names
        age_seconds = STALE_RESUMABLE_SECONDS if is_resumable else STALE_SECONDS
        facts = folder.stat(name)
        if facts is not None and time.time() - facts.st_mtime > age_seconds:
            with suppress(OSError):
                folder.remove(name)


def _read_note(folder: OpenFolder, name: str) -> Version | None:
    try:
        raw = folder.read(name + NOTE, MAX_NOTE_BYTES)
        return TypeAdapter(Version).validate_json(raw or b"")
    except (OSError, ValueError):
        return None
