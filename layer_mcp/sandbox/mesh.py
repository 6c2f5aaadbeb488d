"""A small mesh as GLB (the binary container of glTF 2.0): an item's outline as a solid."""

import json
import math
import struct

from .pictures import Item, shade

SIDES = 16
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942
FLOAT, UNSIGNED_SHORT = 5126, 5123
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963


def make_mesh(item: Item) -> bytes:
    """Rotate an item's outline around its axis, and return the solid as a GLB file."""
    rows = len(item.profile)
    vertices = [
        (share * math.cos(turn), 2.0 * (1 - row / (rows - 1)), share * math.sin(turn))
        for row, share in enumerate(item.profile)
        for turn in (2 * math.pi * side / SIDES for side in range(SIDES))
    ]
    triangles = [
        corner
        for row in range(rows - 1)
        for side in range(SIDES)
        for corner in _quad(row * SIDES + side, row * SIDES + (side + 1) % SIDES)
    ]
    positions = b"".join(struct.pack("<3f", *vertex) for vertex in vertices)
    indices = struct.pack(f"<{len(triangles)}H", *triangles)
    document = _document(item, vertices, len(triangles), len(positions), len(indices))
    return _container(document, positions + indices)


def _quad(left: int, right: int) -> tuple[int, ...]:
    return left, right, left + SIDES, right, right + SIDES, left + SIDES


def _document(
    item: Item,
    vertices: list[tuple[float, float, float]],
    index_count: int,
    position_bytes: int,
    index_bytes: int,
) -> dict[str, object]:
    axes = list(zip(*vertices, strict=True))
    color = [round(part / 255, 3) for part in shade(item.hue, 0.7, 0.9)]
    return {
        "asset": {"version": "2.0", "generator": "layer-mcp sandbox"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "item"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
        "materials": [
            {"pbrMetallicRoughness": {"baseColorFactor": [*color, 1.0]}, "doubleSided": True}
        ],
        "buffers": [{"byteLength": position_bytes + index_bytes}],
        "bufferViews": [
            {"buffer": 0, "byteLength": position_bytes, "target": ARRAY_BUFFER},
            {
                "buffer": 0,
                "byteOffset": position_bytes,
                "byteLength": index_bytes,
                "target": ELEMENT_ARRAY_BUFFER,
            },
        ],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": FLOAT,
                "count": len(vertices),
                "type": "VEC3",
                "min": [min(axis) for axis in axes],
                "max": [max(axis) for axis in axes],
            },
            {
                "bufferView": 1,
                "componentType": UNSIGNED_SHORT,
                "count": index_count,
                "type": "SCALAR",
            },
        ],
    }


def _container(document: dict[str, object], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    chunks = _chunk(JSON_CHUNK, text, b" ") + _chunk(BINARY_CHUNK, binary, b"\0")
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _chunk(kind: int, content: bytes, padding: bytes) -> bytes:
    content += padding * (-len(content) % 4)
    return struct.pack("<II", len(content), kind) + content
