"""Facts about OBJ, STL and PLY: files that list their polygons, without a unit of length."""

import io
import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ...text.plain_text import one_line
from ..containers.parts import CUT, BrokenFileError, PartReader
from .bounds import Box

# What takes up to some two seconds to read.
MAX_BYTES, MAX_LINES = 16 * 1024 * 1024, 1_000_000
MAX_POINTS = 600_000
POINTS_PER_BLOCK = 20_000
MAX_LINE_BYTES = 4000
MAX_NAMES, MAX_NAME_LENGTH = 50, 120

STL_HEAD_BYTES, STL_TRIANGLE = 84, struct.Struct("<12x9f2x")
STL_VERTEX = re.compile(rb"\bvertex\s+(\S{1,40})\s+(\S{1,40})\s+(\S{1,40})", re.IGNORECASE)
STL_FACET = re.compile(rb"\bfacet\s+normal\b", re.IGNORECASE)
STL_END = re.compile(rb"\bendsolid\b", re.IGNORECASE)

OBJ_VERTEX = re.compile(rb"^[ \t]*v[ \t]+(\S{1,40})[ \t]+(\S{1,40})[ \t]+(\S{1,40})", re.MULTILINE)
OBJ_FACE = re.compile(rb"^[ \t]*f[ \t]+([^\r\n]{1,4000})", re.MULTILINE)
OBJ_NAME = re.compile(rb"^[ \t]*(usemtl|mtllib)[ \t]+([^\r\n]{1,4000})", re.MULTILINE)

PLY_HEAD_BYTES = 16 * 1024
PLY_END = re.compile(rb"\bend_header[ \t]*(?:\r\n|\n|\r)")
PLY_CORNERS = re.compile(rb"\s*(\d{1,3})\b")
PLY_TYPES = {
    **dict.fromkeys(("char", "int8"), "b"),
    **dict.fromkeys(("uchar", "uint8"), "B"),
    **dict.fromkeys(("short", "int16"), "h"),
    **dict.fromkeys(("ushort", "uint16"), "H"),
    **dict.fromkeys(("int", "int32"), "i"),
    **dict.fromkeys(("uint", "uint32"), "I"),
    **dict.fromkeys(("float", "float32"), "f"),
    **dict.fromkeys(("double", "float64"), "d"),
}


def add_obj_facts(file: PartReader, facts: dict[str, Any]) -> None:
    """Count the vertices, triangles and materials of an OBJ, and name the files that it needs."""
    data = _read_text(file)
    if data is None:
        return
    corners = (len(found[1].split()) for found in OBJ_FACE.finditer(data))
    facts["triangles"] = sum(max(count - 2, 0) for count in corners)
    facts["vertices"] = _add_size((found.groups() for found in OBJ_VERTEX.finditer(data)), facts)
    names: dict[bytes, dict[str, None]] = {b"usemtl": {}, b"mtllib": {}}
    for found in OBJ_NAME.finditer(data):
        name = one_line(found[2].decode("utf-8", "replace"), MAX_NAME_LENGTH)
        names[found[1]][name] = None
    facts["materials"] = len(names[b"usemtl"])
    if libraries := list(names[b"mtllib"]):
        facts["external_files"] = libraries[:MAX_NAMES]


def add_stl_facts(file: PartReader, facts: dict[str, Any]) -> None:
    """Count the triangles of an STL, binary or text."""
    head = file.read_some(0, 1000)
    count = int.from_bytes(head[80:84], "little")
    end = STL_HEAD_BYTES + STL_TRIANGLE.size * count
    if file.size_bytes == end or b"\0" in head:
        facts["triangles"] = count
        if end > file.size_bytes:
            raise BrokenFileError(CUT)
        _add_stl_size(file, count, facts)
        return
    data = _read_text(file)
    if data is None:
        return
    facts["triangles"] = sum(1 for _ in STL_FACET.finditer(data))
    _add_size((found.groups() for found in STL_VERTEX.finditer(data)), facts)
    if not STL_END.search(data[-MAX_LINE_BYTES:]):
        raise BrokenFileError(CUT)


def add_ply_facts(file: PartReader, facts: dict[str, Any]) -> None:
    """Count the vertices and triangles of a PLY, binary or text."""
    head = file.read_some(0, PLY_HEAD_BYTES)
    end = PLY_END.search(head)
    if end is None:
        if file.size_bytes <= len(head):
            raise BrokenFileError(CUT)
        return
    header = _read_ply_header(head[: end.start()])
    points = next((element for element in header.elements if element.name == "vertex"), None)
    if points is None or header.elements[0] is not points:
        return
    facts["vertices"] = points.count
    if header.order is None:
        _add_ply_lines(file, end.end(), header, facts)
    elif points.step:
        _add_ply_points(file, end.end(), header, facts)
        _add_ply_faces(file, end.end() + points.count * points.step, header, facts)


READERS: dict[str, Callable[[PartReader, dict[str, Any]], None]] = {
    "model/obj": add_obj_facts,
    "model/stl": add_stl_facts,
    "model/x-ply": add_ply_facts,
}


def _read_text(file: PartReader) -> bytes | None:
    """Return the whole file, or None if it's too large to look at."""
    data = file.read(0, file.size_bytes) if file.size_bytes <= MAX_BYTES else b""
    return data if data and data.count(b"\n") <= MAX_LINES else None


class _Bounds:
    """The smallest and the largest coordinates so far."""

    def __init__(self) -> None:
        self._low, self._high = [math.inf] * 3, [-math.inf] * 3

    def add(self, axis: int, values: Iterable[float]) -> None:
        numbers = list(values)
        lowest, highest = min(numbers), max(numbers)
        self._low[axis] = min(self._low[axis], lowest)
        self._high[axis] = max(self._high[axis], highest)

    def add_to(self, facts: dict[str, Any]) -> None:
        low, high = self._low, self._high
        size = Box((low[0], low[1], low[2]), (high[0], high[1], high[2])).size()
        if size:
            facts["size_units"] = size


def _add_size(points: Iterator[tuple[bytes, ...]], facts: dict[str, Any]) -> int:
    """Add the size of what is around some points, and return how many there are."""
    bounds, count, is_readable = _Bounds(), 0, True
    while some := list(islice(points, POINTS_PER_BLOCK)):
        count += len(some)
        try:
            for axis, column in enumerate(zip(*some, strict=True)):
                bounds.add(axis, map(float, column))
        except ValueError:
            is_readable = False
    if is_readable:
        bounds.add_to(facts)
    return count


def _add_stl_size(file: PartReader, count: int, facts: dict[str, Any]) -> None:
    bounds = _Bounds()
    if not 0 < count <= MAX_POINTS // 3:
        return
    for first in range(0, count, POINTS_PER_BLOCK):
        offset = STL_HEAD_BYTES + first * STL_TRIANGLE.size
        size_bytes = min(POINTS_PER_BLOCK, count - first) * STL_TRIANGLE.size
        block = file.read(offset, size_bytes)
        for column, values in enumerate(zip(*STL_TRIANGLE.iter_unpack(block), strict=True)):
            bounds.add(column % 3, values)
    bounds.add_to(facts)


@dataclass
class _Element:
    """A kind of thing that a PLY lists: fields by name, with the type of the count for a list."""

    name: str
    count: int
    fields: dict[str, str] = field(default_factory=dict[str, str])
    list_counts: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def step(self) -> int:
        """Return the bytes of each, or 0 if they differ."""
        is_known = all(self.fields.values()) and not self.list_counts
        return struct.calcsize("<" + "".join(self.fields.values())) if is_known else 0


@dataclass(frozen=True)
class _PlyHeader:
    """The elements in their order, and the order of bytes: "<", ">", or None for text."""

    elements: list[_Element]
    order: str | None


def _read_ply_header(head: bytes) -> _PlyHeader:
    elements, order = list[_Element](), None
    orders = {"binary_little_endian": "<", "binary_big_endian": ">"}
    for line in head.decode("latin-1").splitlines():
        match line.split():
            case ["format", name, *_]:
                order = orders.get(name)
            case ["element", name, count] if count.isdecimal() and len(count) < 12:
                elements.append(_Element(name, int(count)))
            case ["property", "list", count, kind, name] if elements:
                elements[-1].fields[name] = PLY_TYPES.get(kind, "")
                elements[-1].list_counts[name] = PLY_TYPES.get(count, "")
            case ["property", kind, name] if elements:
                elements[-1].fields[name] = PLY_TYPES.get(kind, "")
            case _:
                continue
    return _PlyHeader(elements, order)


def _add_ply_points(
    file: PartReader, start: int, header: _PlyHeader, facts: dict[str, Any]
) -> None:
    points = header.elements[0]
    if start + points.count * points.step > file.size_bytes:
        raise BrokenFileError(CUT)
    axes = [name for name in points.fields if name in ("x", "y", "z")]
    if not 0 < points.count <= MAX_POINTS or len(axes) < 3:
        return
    parts = (
        kind if name in axes else f"{struct.calcsize(kind)}x"
        for name, kind in points.fields.items()
    )
    layout = struct.Struct(f"{header.order}{''.join(parts)}")
    bounds = _Bounds()
    for first in range(0, points.count, POINTS_PER_BLOCK):
        size_bytes = min(POINTS_PER_BLOCK, points.count - first) * layout.size
        block = file.read(start + first * layout.size, size_bytes)
        for name, values in zip(axes, zip(*layout.iter_unpack(block), strict=True), strict=True):
            bounds.add("xyz".index(name), values)
    bounds.add_to(facts)


def _add_ply_faces(file: PartReader, start: int, header: _PlyHeader, facts: dict[str, Any]) -> None:
    """Count the triangles if faces follow the points and have nothing but their corners."""
    faces = header.elements[1] if len(header.elements) > 1 else None
    if faces is None or faces.name != "face" or len(faces.fields) != 1 or not faces.list_counts:
        return
    [kind], [count_kind] = faces.fields.values(), faces.list_counts.values()
    size_bytes = file.size_bytes - start
    if not kind or count_kind != "B" or faces.count > MAX_POINTS or size_bytes > MAX_BYTES:
        return
    data, offset, triangles = file.read(start, size_bytes), 0, 0
    corner_bytes = struct.calcsize(kind)
    for _ in range(faces.count):
        if offset >= len(data):
            raise BrokenFileError(CUT)
        triangles += max(data[offset] - 2, 0)
        offset += 1 + data[offset] * corner_bytes
    if offset > len(data):
        raise BrokenFileError(CUT)
    facts["triangles"] = triangles


def _add_ply_lines(file: PartReader, start: int, header: _PlyHeader, facts: dict[str, Any]) -> None:
    points, data = header.elements[0], _read_text(file)
    if data is None:
        return
    lines = io.BytesIO(data)
    lines.seek(start)
    names = list(points.fields)
    if not {"x", "y", "z"}.issubset(names):
        return
    axes = [names.index(axis) for axis in ("x", "y", "z")]
    rows = (line[:MAX_LINE_BYTES].split() for line in islice(lines, points.count))
    found = (tuple(row[axis] for axis in axes) for row in rows if len(row) > max(axes))
    if _add_size(found, facts) < points.count:
        raise BrokenFileError(CUT)
    faces = header.elements[1] if len(header.elements) > 1 else None
    if faces is None or faces.name != "face":
        return
    triangles = read = 0
    for line in islice(lines, faces.count):
        read += 1
        found = PLY_CORNERS.match(line)
        triangles += max(int(found[1]) - 2, 0) if found else 0
    if read < faces.count:
        raise BrokenFileError(CUT)
    facts["triangles"] = triangles
