"""A file in memory that counts what's read from it."""

import io


class CountingFile(io.BytesIO):
    """Bytes to read; `reads` and `read_bytes` count the reads."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads = 0
        self.read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read and count."""
        data = super().read(size)
        self.reads += 1
        self.read_bytes += len(data)
        return data
