"""What meshes declare and list, in meshes of known size and in broken ones."""

import io
import json
import math
import struct
from base64 import b64encode
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from layer_mcp.media.mesh_facts import describe_mesh, measure_mesh
from layer_mcp.sandbox.mesh import make_mesh
from layer_mcp.sandbox.pictures import item_for

from ..support.counting_file import CountingFile

Json = dict[str, Any]

GLB, GLTF = "model/gltf-binary", "model/gltf+json"
HALF_TURN = [0, 0, math.sin(math.pi / 4), math.cos(math.pi / 4)]


def measure(data: bytes, content_type: str = GLB) -> dict[str, Any]:
    return measure_mesh(io.BytesIO(data), len(data), content_type)


def picture(kind: str, size: tuple[int, int], **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, kind, **options)
    return buffer.getvalue()


def box_document(**changes: Any) -> Json:
    """Return a glTF of a box of 1 x 2 x 3 m without the bytes of its geometry."""
    document: Json = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": 8,
                "type": "VEC3",
                "min": [-0.5, 0, -1],
                "max": [0.5, 2, 2],
            },
            {"bufferView": 1, "componentType": 5123, "count": 36, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": 96},
            {"buffer": 0, "byteOffset": 96, "byteLength": 72},
        ],
        "buffers": [{"byteLength": 168}],
    }
    return document | changes


def glb(document: Json | bytes, binary: bytes = bytes(168)) -> bytes:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def with_pictures(*pictures: bytes) -> bytes:
    document, binary = box_document(), bytes(168)
    document["images"] = [{"bufferView": 2 + index} for index in range(len(pictures))]
    for data in pictures:
        view = {"buffer": 0, "byteOffset": len(binary), "byteLength": len(data)}
        document["bufferViews"].append(view)
        binary += data
    document["buffers"][0]["byteLength"] = len(binary)
    return glb(document, binary)


def placed(*nodes: Json, roots: list[int] | None = None) -> dict[str, Any]:
    document = box_document(nodes=nodes)
    document["scenes"] = [{"nodes": [0] if roots is None else roots}]
    return measure(glb(document))


def test_a_box_has_twelve_triangles_and_its_size() -> None:
    assert measure(glb(box_document())) == {
        "triangles": 12,
        "vertices": 8,
        "size_metres": [1, 2, 3],
        "materials": 0,
        "textures": 0,
        "skins": 0,
        "animations": 0,
    }


def test_the_sandbox_makes_an_ordinary_mesh() -> None:
    facts = measure(make_mesh(item_for("a vase", "1", 0)))
    assert facts["triangles"] > 100
    assert describe_mesh(facts) == []


@pytest.mark.parametrize(
    ("node", "size"),
    [
        ({"scale": [2, 2, 0.5]}, [2, 4, 1.5]),
        ({"rotation": HALF_TURN}, [2, 1, 3]),
        ({"translation": [5, 5, 5]}, [1, 2, 3]),
        ({"matrix": [0, 2, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 9, 9, 9, 1]}, [2, 2, 3]),
        ({"scale": "large", "rotation": [1]}, [1, 2, 3]),
    ],
)
def test_the_size_is_that_of_the_placed_mesh(node: Json, size: list[float]) -> None:
    assert placed({"mesh": 0} | node)["size_metres"] == size


def test_a_mesh_that_is_shown_twice_counts_twice() -> None:
    child = {"mesh": 0, "translation": [1, 0, 0]}
    facts = placed({"mesh": 0, "scale": [2, 1, 1], "children": [1]}, child)
    assert facts["triangles"] == 24
    assert facts["size_metres"] == [4, 2, 3]


def test_a_node_outside_the_scene_does_not_count() -> None:
    assert placed({"mesh": 0}, {"mesh": 0, "translation": [50, 0, 0]})["triangles"] == 12


def test_meshes_count_once_if_no_scene_shows_them() -> None:
    assert placed({"name": "empty"})["triangles"] == 12
    assert measure(glb(box_document(scenes=[], nodes=[])))["triangles"] == 12


def test_a_node_may_draw_many_instances() -> None:
    attributes = {"TRANSLATION": 1}
    extension = {"EXT_mesh_gpu_instancing": {"attributes": attributes}}
    facts = placed({"mesh": 0, "extensions": extension})
    assert facts["triangles"] == 36 * 12
    assert "size_metres" not in facts


@pytest.mark.parametrize(("mode", "triangles"), [(4, 12), (5, 34), (6, 34), (1, 0), (0, 0)])
def test_triangles_follow_the_mode(mode: int, triangles: int) -> None:
    document = box_document()
    document["meshes"][0]["primitives"][0]["mode"] = mode
    assert measure(glb(document))["triangles"] == triangles


def test_triangles_need_no_indices() -> None:
    document = box_document()
    del document["meshes"][0]["primitives"][0]["indices"]
    assert measure(glb(document))["triangles"] == 8 // 3


def test_primitives_may_share_their_vertices() -> None:
    document = box_document()
    document["meshes"][0]["primitives"] *= 2
    facts = measure(glb(document))
    assert (facts["triangles"], facts["vertices"]) == (24, 8)


def test_a_skinned_mesh_is_where_its_joints_take_it() -> None:
    matrix = [0.01, 0, 0, 0, 0, 0.01, 0, 0, 0, 0, 0.01, 0, 0, 0, 0, 1]
    document = box_document(
        nodes=[
            {"mesh": 0, "skin": 0, "scale": [7, 7, 7]},
            {"scale": [10, 10, 10], "children": [2]},
            {},
        ],
        skins=[{"joints": [2], "inverseBindMatrices": 2}],
    )
    document["scenes"] = [{"nodes": [0, 1]}]
    document["accessors"].append(
        {"bufferView": 2, "componentType": 5126, "count": 1, "type": "MAT4"}
    )
    document["bufferViews"].append({"buffer": 0, "byteOffset": 168, "byteLength": 64})
    document["buffers"] = [{"byteLength": 232}]
    facts = measure(glb(document, bytes(168) + struct.pack("<16f", *matrix)))
    assert facts["size_metres"] == [0.1, 0.2, 0.3]
    assert facts["skins"] == 1


def test_quantized_positions_are_measured_as_fractions() -> None:
    document = box_document()
    document["accessors"][0] |= {
        "componentType": 5122,
        "normalized": True,
        "min": [-32767, 0, 0],
        "max": [32767, 32767, 0],
    }
    assert measure(glb(document))["size_metres"] == [2, 1, 0]


def test_a_mesh_without_bounds_has_no_size() -> None:
    document = box_document()
    del document["accessors"][0]["min"]
    assert "size_metres" not in measure(glb(document))


def test_textures_are_counted_and_measured_by_their_headers() -> None:
    pictures = (
        picture("PNG", (64, 32)),
        picture("JPEG", (100, 50), exif=b"Exif\0\0" + bytes(60_000)),
        picture("WEBP", (16, 8)),
        picture("WEBP", (24, 8), lossless=True),
        b"\xabKTX 20\xbb\r\n\x1a\n" + struct.pack("<4I", 37, 1, 512, 256) + bytes(40),
        b"no picture",
    )
    facts = measure(with_pictures(*pictures))
    assert facts["textures"] == 6
    assert facts["texture_sizes"] == ["64x32", "100x50", "16x8", "24x8", "512x256"]


def test_counts_materials_and_animations() -> None:
    facts = measure(glb(box_document(materials=[{}, {}], animations=[{}])))
    assert (facts["materials"], facts["animations"]) == (2, 1)


@pytest.mark.parametrize(
    ("names", "compression"),
    [
        (["KHR_draco_mesh_compression"], "draco"),
        (["EXT_meshopt_compression", "KHR_texture_basisu", 7], "meshopt"),
    ],
)
def test_says_how_a_mesh_is_compressed(names: list[Any], compression: str) -> None:
    assert measure(glb(box_document(extensionsUsed=names)))["compression"] == compression


def test_a_gltf_names_the_files_that_belong_next_to_it() -> None:
    document = box_document(
        buffers=[{"byteLength": 168, "uri": "the%20box.bin"}],
        images=[{"uri": "a.png"}, {"uri": "a.png"}, {"uri": "b\x1b[2J.png"}],
    )
    facts = measure(json.dumps(document).encode(), GLTF)
    assert facts["external_files"] == ["the box.bin", "a.png", "b[2J.png"]
    assert facts["triangles"] == 12


def test_a_gltf_may_be_self_contained() -> None:
    def uri(data: bytes) -> str:
        return "data:application/octet-stream;base64," + b64encode(data).decode()

    document = box_document(images=[{"uri": uri(picture("PNG", (40, 30)))}, {"bufferView": 2}])
    document["bufferViews"].append({"buffer": 0, "byteOffset": 169, "byteLength": 600})
    binary = bytes(169) + picture("JPEG", (50, 60)) + bytes(99)
    document["buffers"] = [{"byteLength": len(binary), "uri": uri(binary)}]
    facts = measure(json.dumps(document).encode(), GLTF)
    assert facts["texture_sizes"] == ["40x30", "50x60"]
    assert "external_files" not in facts


def test_the_geometry_is_not_read() -> None:
    document = box_document(buffers=[{"byteLength": 1_000_000}])
    file = CountingFile(glb(document, bytes(1_000_000)))
    measure_mesh(file, len(file.getvalue()), GLB)
    assert file.read_bytes < 3000


NOT_THERE = "it refers to missing data"


def broken(change: Callable[[Json], object]) -> bytes:
    document = box_document()
    change(document)
    return glb(document)


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (b"", "it ends too early"),
        (glb(box_document())[:-1], "it ends too early"),
        (b"glTF\2\0\0\0\x0c\0\0\0", "its content isn't described"),
        (
            b"glTF\2\0\0\0\x18\0\0\0\x64\0\0\0JSON{}  ",
            "one of its parts is longer than the file",
        ),
        (glb(b"[1, 2]"), "its JSON can't be read"),
        (glb(b'{"asset": '), "its JSON can't be read"),
        (glb(b"\xff\xff\xff\xff"), "its JSON can't be read"),
        (glb(b"[" * 100_000), "its JSON can't be read"),
        (glb(b'{"a":' + b"1" * 5000 + b"}"), "its JSON can't be read"),
        (glb(b"[" * 600_000), "its JSON has too many parts"),
        (broken(lambda it: it["buffers"][0].update(byteLength=400)), NOT_THERE),
        (broken(lambda it: it["bufferViews"][1].update(byteLength=73)), NOT_THERE),
        (broken(lambda it: it["bufferViews"][0].update(buffer=7)), NOT_THERE),
        (broken(lambda it: it["accessors"][0].update(count=9)), NOT_THERE),
    ],
)
def test_a_broken_glb_has_a_flaw(data: bytes, flaw: str) -> None:
    assert measure(data)["flaw"] == flaw


def test_json_that_is_too_large_is_not_parsed() -> None:
    data = b'{"asset": {"version": "2.0"}}' + b" " * 16 * 1024 * 1024
    assert measure(data, GLTF) == {"flaw": "its JSON is larger than 16 MB"}


@pytest.mark.parametrize(
    ("nodes", "roots"),
    [
        ([{"mesh": 0, "children": [0]}], [0]),
        ([{"mesh": 0, "children": [1]}, {"children": [0]}], [0]),
        ([{"mesh": 0}], [0, 0]),
    ],
)
def test_nodes_in_a_circle_are_visited_once(nodes: list[Json], roots: list[int]) -> None:
    facts = placed(*nodes, roots=roots)
    assert facts["flaw"] == "its nodes form a cycle"
    assert facts["triangles"] == 12


@pytest.mark.slow
def test_deep_trees_are_followed() -> None:
    chain_of_nodes = [{"children": [index + 1]} for index in range(30_000)]
    facts = placed(*chain_of_nodes, {"mesh": 0})
    assert facts["triangles"] == 12
    assert "size_metres" not in facts


@pytest.mark.parametrize("number", [1e300, 10**400, float("nan"), float("inf"), "a", None, True])
def test_absurd_numbers_result_in_no_size(number: object) -> None:
    document = box_document()
    document["accessors"][0] |= {"min": [-1e308, 0, 0], "max": [1e308, number, 0], "count": number}
    facts = measure(glb(document))
    assert "size_metres" not in facts
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize("version", ["1.0", None, 7])
def test_another_version_of_gltf_is_not_measured(version: object) -> None:
    assert measure(glb(box_document(asset={"version": version}))) == {}


OBJ = b"""# a tool
mtllib box.mtl
o box
v 0 0 0
v 1.5 0 0 0.5 0.5 0.5
v 1.5e0 2 0
v 0 2 -3
vn 0 0 1
usemtl wood
f 1/1/1 2/2/1 3//1 4
usemtl iron
f 1 2 3
usemtl wood
f -1 -2 -3
"""
STL = b"""solid box
 facet normal 0 0 1
  outer loop
   vertex 0 0 0
   vertex 1.5 0 0
   vertex 1.5 2 -3
  endloop
 endfacet
endsolid box
"""
POINTS = ((0, 0, 0), (1.5, 0, 0), (1.5, 2, -3))
BINARY_STL = bytes(80) + struct.pack("<I12f2x", 1, 0, 0, 1, *chain(*POINTS))
PLY_HEAD = b"""ply
format %s 1.0
element vertex 3
property uchar red
property float x
property float y
property double z
element face 2
property list uchar int vertex_indices
end_header
"""
PLY = PLY_HEAD % b"ascii" + b"9 0 0 0\n9 1.5 0 0\n9 1.5 2 -3\n3 0 1 2\n4 0 1 2 0\n"


def binary_ply(order: str, name: bytes) -> bytes:
    points = b"".join(struct.pack(f"{order}Bffd", 9, *point) for point in POINTS)
    faces = struct.pack(f"{order}B3iB4i", 3, 0, 1, 2, 4, 0, 1, 2, 0)
    return PLY_HEAD % name + points + faces


LISTS = {
    "obj": (OBJ, "model/obj"),
    "stl": (STL, "model/stl"),
    "binary stl": (BINARY_STL, "model/stl"),
    "ply": (PLY, "model/x-ply"),
    "little-endian ply": (binary_ply("<", b"binary_little_endian"), "model/x-ply"),
    "big-endian ply": (binary_ply(">", b"binary_big_endian"), "model/x-ply"),
}


@pytest.mark.parametrize("name", LISTS)
def test_the_size_of_a_polygon_list_has_no_unit(name: str) -> None:
    facts = measure(*LISTS[name])
    assert facts["size_units"] == [1.5, 2, 3]
    assert "flaw" not in facts


@pytest.mark.parametrize(
    ("name", "triangles", "vertices"),
    [
        ("obj", 4, 4),
        ("stl", 1, None),
        ("binary stl", 1, None),
        ("ply", 3, 3),
        ("little-endian ply", 3, 3),
        ("big-endian ply", 3, 3),
    ],
)
def test_polygons_are_counted_as_triangles(name: str, triangles: int, vertices: int | None) -> None:
    facts = measure(*LISTS[name])
    assert (facts["triangles"], facts.get("vertices")) == (triangles, vertices)


def test_an_obj_names_its_materials_and_their_file() -> None:
    facts = measure(OBJ, "model/obj")
    assert (facts["materials"], facts["external_files"]) == (2, ["box.mtl"])


@pytest.mark.parametrize("name", ["stl", "binary stl", "ply", "little-endian ply"])
def test_a_truncated_list_of_polygons_ends_too_early(name: str) -> None:
    data, content_type = LISTS[name]
    assert measure(data[:-12], content_type)["flaw"] == "it ends too early"


def test_a_point_cloud_has_no_triangle_count() -> None:
    head = b"ply\nformat ascii 1.0\nelement vertex 1\n"
    axes = b"property float x\nproperty float y\nproperty float z\nend_header\n1 2 3\n"
    assert measure(head + axes, "model/x-ply") == {"vertices": 1, "size_units": [0, 0, 0]}


@pytest.mark.parametrize("content_type", ["model/obj", "model/x-fbx", "application/x-blender"])
def test_a_file_that_is_too_large_or_unreadable_has_no_facts(content_type: str) -> None:
    file = CountingFile(b"v 0 0 0\n")
    assert measure_mesh(file, 17 * 1024 * 1024, content_type) == {}
    assert file.reads == 0


DAMAGE = st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8)
MESHES = {**LISTS, "glb": (with_pictures(picture("PNG", (9, 9))), GLB)}


@given(st.sampled_from(sorted(MESHES)), DAMAGE, st.none() | st.integers(0, 3000))
@pytest.mark.slow
def test_a_damaged_mesh_is_measured_without_failing(
    name: str, damage: list[tuple[int, int]], length: int | None
) -> None:
    data, content_type = bytearray(MESHES[name][0]), MESHES[name][1]
    for place, value in damage:
        data[place % len(data)] = value
    facts = measure(bytes(data[:length]), content_type)
    json.dumps(facts, allow_nan=False)
    assert all(isinstance(remark, str) for remark in describe_mesh(facts))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
KEYS = (
    "mesh children matrix scale primitives min max count type bufferView buffer byteLength "
    "byteOffset uri joints skin inverseBindMatrices componentType extensions"
)
NAMES = st.sampled_from(
    sorted(
        {*box_document(), "images", "skins", "extensionsUsed", "materials", "animations", "scene"}
    )
)


@given(st.dictionaries(NAMES, ANY_JSON | st.lists(ANY_JSON, max_size=3), max_size=3))
@pytest.mark.slow
def test_a_gltf_may_have_any_value_anywhere(changes: Json) -> None:
    facts = measure(json.dumps(box_document() | changes).encode(), GLTF)
    json.dumps(facts, allow_nan=False)


@given(
    st.sampled_from(["nodes", "meshes", "accessors", "bufferViews", "buffers", "images", "skins"]),
    st.sampled_from(KEYS.split()),
    ANY_JSON,
)
@pytest.mark.slow
def test_the_parts_of_a_gltf_may_have_anything(name: str, key: str, value: object) -> None:
    document = box_document(images=[{"bufferView": 0}], skins=[{"joints": [0]}])
    document["nodes"][0]["skin"] = 0
    document[name][0][key] = value
    json.dumps(measure(glb(document)), allow_nan=False)


@pytest.mark.parametrize(
    ("facts", "remarks"),
    [
        ({"triangles": 12, "size_metres": [1, 2, 3]}, []),
        ({"triangles": 0, "size_metres": [0, 0, 0]}, ["no triangles"]),
        ({"triangles": 500_000, "size_metres": [100, 2, 3]}, []),
        ({"triangles": 1_250_000}, ["1,250,000 triangles"]),
        ({"size_metres": [1, 4000.5, 3]}, ["4,000 m across: check the scale"]),
        ({"size_metres": [0.0001, 0.00052, 0]}, ["0.52 mm across: check the scale"]),
        ({"external_files": ["a.bin"]}, ["needs 1 more file next to it"]),
        ({"external_files": ["a.bin", "b.png"]}, ["needs 2 more files next to it"]),
        ({"triangles": 0, "flaw": "it ends too early"}, ["it ends too early"]),
        ({"triangles": "many", "size_metres": 3, "flaw": [], "external_files": 1}, []),
        ({"size_metres": ["a", None, True]}, []),
        ({}, []),
    ],
)
def test_remarks_only_on_unusual_facts_about_a_mesh(
    facts: dict[str, Any], remarks: list[str]
) -> None:
    assert describe_mesh(facts) == remarks
