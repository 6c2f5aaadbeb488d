"""A media file of any size: the header of a WAV file, then noise."""

import os
from pathlib import Path

HEADER = b"RIFF\xff\xff\xff\xffWAVEfmt "
CONTENT_TYPE = "audio/wav"
CHUNK_BYTES = 1024 * 1024


def write_media_file(path: Path, size_bytes: int) -> Path:
    """Write it, with no more than a chunk of it in memory."""
    with path.open("wb") as file:
        file.write(HEADER)
        while (left := size_bytes - file.tell()) > 0:
            file.write(os.urandom(min(left, CHUNK_BYTES)))
    return path
