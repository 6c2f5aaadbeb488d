"""Read the parts of a glTF 2.0 file and its untrusted JSON."""

import json
import struct
from base64 import b64decode
from dataclasses import dataclass
from typing import Any, cast

from ..containers.parts import CUT, BrokenFileError, Part, PartReader
from ..json_values import as_list, as_object

GLB_HEADER_BYTES, CHUNK_HEADER_BYTES = 12, 8
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942
MAX_JSON_BYTES = 16 * 1024 * 1024
# Each becomes an object in memory: some 100 bytes for two in the file.
MAX_JSON_OBJECTS, MAX_JSON_VALUES = 200_000, 1_000_000
MAX_COUNT = 2**40

Json = dict[str, Any]


@dataclass(frozen=True)
class GltfDocument:
    """The JSON of a file; values of the wrong type count as missing."""

    content: Json
    file: PartReader
    binary: Part | None

    def objects(self, name: str) -> list[Json]:
        """Return a list of objects, such as the nodes."""
        return [as_object(item) for item in as_list(self.content.get(name))]

    def single(self, name: str) -> Json:
        """Return one object, such as the asset."""
        return as_object(self.content.get(name))

    def item(self, name: str, index: object) -> Json:
        """Return the object at an index in a list, or {} if there is none."""
        items = as_list(self.content.get(name))
        return as_object(items[index]) if isinstance(index, int) and 0 <= index < len(items) else {}

    def view_head(self, index: object, offset: int, count: int) -> bytes:
        """Return the first bytes of a view of a buffer that is in the file."""
        view = self.item("bufferViews", index)
        buffer = self.item("buffers", view.get("buffer"))
        count = min(count, as_count(view.get("byteLength")) - offset)
        offset += as_count(view.get("byteOffset"))
        uri = buffer.get("uri")
        if count <= 0:
            return b""
        if isinstance(uri, str):
            return data_uri_bytes(uri, offset, count)
        if self.binary is None or view.get("buffer") != 0:
            return b""
        start = self.binary.start + offset
        return self.file.read_some(start, min(count, self.binary.end - start))


def as_count(value: object) -> int:
    """Return a whole number from 0 to 2**40, 0 for anything else."""
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 <= value < MAX_COUNT else 0


def as_numbers(value: object, count: int) -> list[float] | None:
    """Return exactly this many numbers, or None."""
    items = as_list(value)
    if len(items) != count or not all(isinstance(item, int | float) for item in items):
        return None
    try:
        return [float(item) for item in items]
    except OverflowError:
        return None


def read_chunks(file: PartReader) -> tuple[Part, Part | None]:
    """Find the JSON and the binary chunk of a GLB.

    Raises:
        BrokenFileError: the file is truncated, or has no JSON.
    """
    length = int.from_bytes(file.read(8, 4), "little")
    if length > file.size_bytes:
        raise BrokenFileError(CUT)
    found = dict[int, Part]()
    offset = GLB_HEADER_BYTES
    while offset + CHUNK_HEADER_BYTES <= length and len(found) < 2:
        size, kind = struct.unpack("<II", file.read(offset, CHUNK_HEADER_BYTES))
        start = offset + CHUNK_HEADER_BYTES
        if start + size > length:
            raise BrokenFileError("one of its parts is longer than the file")
        found.setdefault(kind, Part(b"", start, start + size))
        offset = start + size
    if JSON_CHUNK not in found:
        raise BrokenFileError("its content isn't described")
    return found[JSON_CHUNK], found.get(BINARY_CHUNK)


def read_json(file: PartReader, part: Part) -> Json:
    """Parse the JSON of a file.

    Raises:
        BrokenFileError: it isn't an object, or is larger than 16 MB.
    """
    if part.end - part.start > MAX_JSON_BYTES:
        raise BrokenFileError("its JSON is larger than 16 MB")
    data = file.read(part.start, part.end - part.start)
    objects = data.count(b"{") + data.count(b"[")
    if objects > MAX_JSON_OBJECTS or data.count(b",") > MAX_JSON_VALUES:
        raise BrokenFileError("its JSON has too many parts")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise BrokenFileError("its JSON can't be read") from None
    if not isinstance(content, dict):
        raise BrokenFileError("its JSON can't be read")
    return cast("Json", content)


def data_uri_bytes(uri: str, offset: int, count: int) -> bytes:
    """Decode a few bytes from the middle of a data: URI."""
    head, _, _ = uri[:100].partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        return b""
    first, last = offset // 3 * 4, -(-(offset + count) // 3) * 4
    start = len(head) + 1
    try:
        data = b64decode(uri[start + first : start + last])
    except ValueError:
        return b""
    return data[offset % 3 : offset % 3 + count]
