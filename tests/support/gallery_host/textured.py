"""A square with an embedded green texture, as the bytes of a .glb file."""

import io
import json
import struct

from PIL import Image

CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))
TRIANGLES = (0, 1, 2, 0, 2, 3)
FLOAT, UNSIGNED_SHORT = 5126, 5123
GREEN = (0, 160, 0)


def textured_square() -> bytes:
    """Return the file, which refers to no other files."""
    parts = {
        "positions": b"".join(struct.pack("<3f", x, y, 0) for x, y in CORNERS),
        "places": b"".join(struct.pack("<2f", (x + 1) / 2, (1 - y) / 2) for x, y in CORNERS),
        "triangles": struct.pack("<6H", *TRIANGLES),
        "picture": _picture(),
    }
    views: list[dict[str, int]] = []
    binary = b""
    for part in parts.values():
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(part)})
        binary += part + b"\0" * (-len(part) % 4)
    document = json.dumps(_document(views, len(binary))).encode()
    chunks = _chunk(b"JSON", document, b" ") + _chunk(b"BIN\0", binary, b"\0")
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), GREEN).save(file, "PNG")
    return file.getvalue()


def _document(views: list[dict[str, int]], size_bytes: int) -> dict[str, object]:
    attributes = {"POSITION": 0, "TEXCOORD_0": 1}
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": 2, "material": 0}]}],
        "materials": [
            {
                "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicFactor": 0},
                "doubleSided": True,
            }
        ],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 3, "mimeType": "image/png"}],
        "buffers": [{"byteLength": size_bytes}],
        "bufferViews": views,
        "accessors": [
            {
                "bufferView": 0,
                "componentType": FLOAT,
                "count": 4,
                "type": "VEC3",
                "min": [-1, -1, 0],
                "max": [1, 1, 0],
            },
            {"bufferView": 1, "componentType": FLOAT, "count": 4, "type": "VEC2"},
            {"bufferView": 2, "componentType": UNSIGNED_SHORT, "count": 6, "type": "SCALAR"},
        ],
    }


def _chunk(kind: bytes, content: bytes, padding: bytes) -> bytes:
    content += padding * (-len(content) % 4)
    return struct.pack("<I4s", len(content), kind) + content
