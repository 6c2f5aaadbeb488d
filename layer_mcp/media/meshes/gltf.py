"""Facts about glTF 2.0 (GLB or JSON), counted from its declarations without reading geometry."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ...text.plain_text import one_line
from ..containers.parts import BrokenFileError, Part, PartReader
from ..json_values import as_list, as_object
from ..sniff import sniff
from .bounds import IDENTITY, Box, Matrix, around, from_columns, from_parts, multiply
from .gltf_document import (
    MAX_COUNT,
    GltfDocument,
    Json,
    as_count,
    as_numbers,
    data_uri_bytes,
    read_chunks,
    read_json,
)

MAX_PLACED_NODES = 20_000
MAX_NAMES, MAX_NAME_LENGTH = 50, 120
MAX_IMAGES = 64
IMAGE_HEAD_BYTES, JPEG_HEAD_BYTES = 64, 256 * 1024

# Component types (glTF 2.0, 3.6.2.2): their size, and the value that normalized ones use for 1.
COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
COMPONENT_ONE = {5120: 127, 5121: 255, 5122: 32767, 5123: 65535}
TYPE_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
TRIANGLES, STRIP, FAN = 4, 5, 6
COMPRESSIONS = {
    "KHR_draco_mesh_compression": "draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}
NOT_THERE = "it refers to missing data"
NO_TREE = "its nodes form a cycle"


def add_facts(file: PartReader, facts: dict[str, Any], *, is_binary: bool) -> None:
    """Add what a file declares to `facts`; see `mesh_facts.measure_mesh`.

    Raises:
        BrokenFileError: the file is broken; `facts` has what was found before.
        TooManyPartsError: it has too many parts to inspect.
    """
    if is_binary:
        text, binary = read_chunks(file)
    else:
        text, binary = Part(b"", 0, file.size_bytes), None
    document = GltfDocument(read_json(file, text), file, binary)
    if not str(document.single("asset").get("version")).startswith("2"):
        return
    is_tree = _add_scene(document, facts)
    _add_counts(document, facts)
    if not is_tree:
        raise BrokenFileError(NO_TREE)
    _check_data(document)


def _add_counts(document: GltfDocument, facts: dict[str, Any]) -> None:
    images = document.objects("images")
    facts["materials"] = len(document.objects("materials"))
    facts["textures"] = len(images)
    sizes = [_image_size(document, image) for image in images[:MAX_IMAGES]]
    if any(sizes):
        facts["texture_sizes"] = [size for size in sizes if size]
    facts["skins"] = len(document.objects("skins"))
    facts["animations"] = len(document.objects("animations"))
    if names := _external_files(document):
        facts["external_files"] = names
    used = as_list(document.content.get("extensionsUsed"))
    if compressions := {name for extension, name in COMPRESSIONS.items() if extension in used}:
        facts["compression"] = ", ".join(sorted(compressions))


def _external_files(document: GltfDocument) -> list[str]:
    """Return the names of the buffers and images that aren't embedded, without duplicates."""
    parts = [*document.objects("buffers"), *document.objects("images")]
    uris = (part.get("uri") for part in parts)
    names = (
        one_line(unquote(uri[: 3 * MAX_NAME_LENGTH]), MAX_NAME_LENGTH)
        for uri in uris
        if isinstance(uri, str) and not uri.startswith("data:")
    )
    return list(dict.fromkeys(names))[:MAX_NAMES]


def _image_size(document: GltfDocument, image: Json) -> str | None:
    # Only meshes with pictures need it.
    from ..images.headers import KINDS, read_header  # noqa: PLC0415

    def read(count: int) -> bytes:
        uri = image.get("uri")
        if isinstance(uri, str):
            return data_uri_bytes(uri, 0, count)
        return document.view_head(image.get("bufferView"), 0, count)

    head = read(IMAGE_HEAD_BYTES)
    kind = KINDS.get(sniff(head) or "")
    # Its size comes after its metadata.
    head = read(JPEG_HEAD_BYTES) if kind == "JPEG" else head
    header = read_header(head, kind) if kind else None
    return f"{header.width}x{header.height}" if header else None


@dataclass(frozen=True)
class _Mesh:
    """What one mesh has; `box` is None if its size isn't declared."""

    triangles: int
    vertices: int
    box: Box | None


def _add_scene(document: GltfDocument, facts: dict[str, Any]) -> bool:
    """Count what the scene shows: a mesh that is used twice counts twice.

    Returns whether its nodes are a tree.
    """
    meshes = [_measure_mesh(document, mesh) for mesh in document.objects("meshes")]
    nodes = document.objects("nodes")
    placed, is_tree = _place_nodes(document, nodes)
    shown = [
        (meshes[mesh], _instances(document, nodes[index]), _place(document, nodes, index, placed))
        for index in placed
        if isinstance(mesh := nodes[index].get("mesh"), int) and 0 <= mesh < len(meshes)
    ]
    if not shown:
        shown = [(mesh, 1, IDENTITY) for mesh in meshes]
    triangles = sum(mesh.triangles * count for mesh, count, _ in shown)
    vertices = sum(mesh.vertices * count for mesh, count, _ in shown)
    if max(triangles, vertices) < MAX_COUNT:
        facts |= {"triangles": triangles, "vertices": vertices}
    boxes = [
        mesh.box.moved(matrix) if mesh.box and matrix and count == 1 else None
        for mesh, count, matrix in shown
    ]
    box = around(box for box in boxes if box)
    if box and all(boxes) and len(placed) <= MAX_PLACED_NODES and (size := box.size()):
        facts["size_metres"] = size
    return is_tree


def _place_nodes(document: GltfDocument, nodes: list[Json]) -> tuple[dict[int, Matrix], bool]:
    """Return the transformation of each node of the scene, and whether none is reached twice."""
    scenes = document.objects("scenes")
    scene = document.item("scenes", document.content.get("scene", 0))
    roots = as_list(scene.get("nodes")) if scenes else _roots(nodes)
    placed, is_tree = dict[int, Matrix](), True
    waiting: list[tuple[object, Matrix]] = [(root, IDENTITY) for root in reversed(roots)]
    while waiting:
        index, parent = waiting.pop()
        if not isinstance(index, int) or not 0 <= index < len(nodes):
            continue
        if index in placed:
            is_tree = False
            continue
        # Multiplying more takes too long, so the size is omitted.
        is_measured = len(placed) < MAX_PLACED_NODES
        placed[index] = multiply(parent, _local_matrix(nodes[index])) if is_measured else parent
        waiting += [(child, placed[index]) for child in as_list(nodes[index].get("children"))]
    return placed, is_tree


def _roots(nodes: list[Json]) -> list[int]:
    children = {
        child for node in nodes for child in as_list(node.get("children")) if isinstance(child, int)
    }
    return [index for index in range(len(nodes)) if index not in children]


def _local_matrix(node: Json) -> Matrix:
    matrix = as_numbers(node.get("matrix"), 16)
    if matrix:
        return from_columns(matrix)
    return from_parts(
        as_numbers(node.get("translation"), 3) or [0, 0, 0],
        as_numbers(node.get("rotation"), 4) or [0, 0, 0, 1],
        as_numbers(node.get("scale"), 3) or [1, 1, 1],
    )


def _place(
    document: GltfDocument, nodes: list[Json], index: int, placed: dict[int, Matrix]
) -> Matrix | None:
    """Return where a node's mesh is placed: for a skinned mesh, by its first joint."""
    skin = document.item("skins", nodes[index].get("skin"))
    joints = as_list(skin.get("joints"))
    if not joints:
        return placed[index]
    joint = placed.get(joints[0]) if isinstance(joints[0], int) else None
    if "inverseBindMatrices" not in skin or joint is None:
        return joint
    accessor = document.item("accessors", skin["inverseBindMatrices"])
    offset = as_count(accessor.get("byteOffset"))
    data = document.view_head(accessor.get("bufferView"), offset, 64)
    if len(data) < 64 or accessor.get("componentType") != 5126:
        return None
    return multiply(joint, from_columns(list(struct.unpack("<16f", data))))


def _instances(document: GltfDocument, node: Json) -> int:
    """Return how often a node is drawn (EXT_mesh_gpu_instancing)."""
    instancing = as_object(as_object(node.get("extensions")).get("EXT_mesh_gpu_instancing"))
    attributes = as_object(instancing.get("attributes"))
    counts = [as_count(document.item("accessors", i).get("count")) for i in attributes.values()]
    return max(counts, default=1)


def _measure_mesh(document: GltfDocument, mesh: Json) -> _Mesh:
    primitives = [as_object(item) for item in as_list(mesh.get("primitives"))]
    # Primitives may share their vertices.
    positions = {
        index: document.item("accessors", index)
        for index in (as_object(item.get("attributes")).get("POSITION") for item in primitives)
        if isinstance(index, int)
    }
    boxes = [_accessor_box(accessor) for accessor in positions.values()]
    return _Mesh(
        triangles=sum(_triangles(document, primitive) for primitive in primitives),
        vertices=sum(as_count(accessor.get("count")) for accessor in positions.values()),
        box=around(box for box in boxes if box) if all(boxes) else None,
    )


def _triangles(document: GltfDocument, primitive: Json) -> int:
    position = as_object(primitive.get("attributes")).get("POSITION")
    accessor = document.item("accessors", primitive.get("indices", position))
    corners = as_count(accessor.get("count"))
    mode = primitive.get("mode", TRIANGLES)
    if mode == TRIANGLES:
        return corners // 3
    return max(corners - 2, 0) if mode in (STRIP, FAN) else 0


def _accessor_box(accessor: Json) -> Box | None:
    low, high = as_numbers(accessor.get("min"), 3), as_numbers(accessor.get("max"), 3)
    if low is None or high is None:
        return None
    component = accessor.get("componentType")
    if accessor.get("normalized") is True and component in COMPONENT_ONE:
        # The bounds of quantized positions are whole numbers too.
        most = COMPONENT_ONE[component]
        low, high = [value / most for value in low], [value / most for value in high]
    return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _check_data(document: GltfDocument) -> None:
    """Check that referenced data exists, as far as the declarations show.

    Raises:
        BrokenFileError: data is missing.
    """
    buffers, views = document.objects("buffers"), document.objects("bufferViews")
    lengths = [as_count(buffer.get("byteLength")) for buffer in buffers]
    binary = document.binary
    if binary and buffers and "uri" not in buffers[0] and lengths[0] > binary.end - binary.start:
        raise BrokenFileError(NOT_THERE)
    ends = (
        (view.get("buffer"), as_count(view.get("byteOffset")) + as_count(view.get("byteLength")))
        for view in views
    )
    for buffer, end in ends:
        if not isinstance(buffer, int) or not 0 <= buffer < len(lengths) or end > lengths[buffer]:
            raise BrokenFileError(NOT_THERE)
    for used, available in _accessor_bytes(document, views):
        if used > available:
            raise BrokenFileError(NOT_THERE)


def _accessor_bytes(document: GltfDocument, views: list[Json]) -> Iterator[tuple[int, int]]:
    """Yield how many bytes of its view each accessor uses, and how many the view has."""
    for accessor in document.objects("accessors"):
        size = COMPONENT_BYTES.get(as_count(accessor.get("componentType")))
        components = TYPE_COMPONENTS.get(str(accessor.get("type")))
        index = accessor.get("bufferView")
        if not isinstance(index, int) or not 0 <= index < len(views) or not size or not components:
            continue
        step = as_count(views[index].get("byteStride")) or size * components
        last = step * (as_count(accessor.get("count")) - 1)
        used = as_count(accessor.get("byteOffset")) + last + size * components
        yield used, as_count(views[index].get("byteLength"))
