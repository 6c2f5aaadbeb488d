"""Measure a mesh: its counts, its size, and the files it needs."""

from collections.abc import Mapping
from typing import Any, BinaryIO

from .containers.parts import BrokenFileError, PartReader, TooManyPartsError
from .json_values import as_list, is_number
from .types import canonical_type

# A main character in a current game has about a tenth of this.
MANY_TRIANGLES = 500_000
LARGEST_METRES, SMALLEST_METRES = 100, 0.001


def measure_mesh(file: BinaryIO, size_bytes: int, content_type: str) -> dict[str, Any]:
    """Return what can be counted in a GLB, glTF, OBJ, STL or PLY; {} for other formats.

    `triangles` and `vertices` as they are drawn: twice for a mesh that a scene shows twice. Of
    glTF also `materials`, `textures`, `skins`, `animations` (counts), `texture_sizes` (such as
    "1024x1024"), `size_metres` (x, y and z of the box around the scene, at rest; each part counts
    with its own box), `external_files` (names of files that belong next to it) and `compression`
    ("draco" or "meshopt"). Of the others `size_units`, as they have no unit of length. `flaw` if
    the file is broken. Only what is known is there.

    Raises:
        OSError: the file can't be read.
    """
    from .meshes import gltf, polygons  # noqa: PLC0415  only meshes need them

    name, facts = canonical_type(content_type), dict[str, Any]()
    reader = PartReader(file, size_bytes)
    try:
        if name in ("model/gltf-binary", "model/gltf+json"):
            gltf.add_facts(reader, facts, is_binary=name == "model/gltf-binary")
        elif name in polygons.READERS:
            polygons.READERS[name](reader, facts)
    except BrokenFileError as error:
        facts["flaw"] = str(error)
    except TooManyPartsError:
        pass
    return facts


def describe_mesh(facts: Mapping[str, Any]) -> list[str]:
    """Return remarks that a person should check before using a mesh."""
    remarks = list[str]()
    flaw, triangles = facts.get("flaw"), facts.get("triangles")
    if isinstance(flaw, str):
        remarks.append(flaw)
    elif triangles == 0:
        remarks.append("no triangles")
    if isinstance(triangles, int) and triangles > MANY_TRIANGLES:
        remarks.append(f"{triangles:,} triangles")
    if (files := as_list(facts.get("external_files"))) and "flaw" not in facts:
        count = "1 more file" if len(files) == 1 else f"{len(files)} more files"
        remarks.append(f"needs {count} next to it")
    if triangles != 0:
        remarks += _describe_size(as_list(facts.get("size_metres")))
    return remarks


def _describe_size(sizes: list[Any]) -> list[str]:
    """Return a remark about a mesh whose unit of length is probably wrong."""
    largest = max((size for size in sizes if is_number(size)), default=1)
    if largest > LARGEST_METRES:
        return [f"{largest:,.0f} m across: check the scale"]
    if largest < SMALLEST_METRES:
        return [f"{largest * 1000:.2g} mm across: check the scale"]
    return []
