"""The cost of measuring an image, a sound, and a mesh, without a server."""

import io
import json
import math
import random
import statistics
import struct
import time
import wave
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image, ImageChops

from .report import MEGABYTE, Row, budget_row, ms

IMAGE_SIDE = 1024
SOUND_SECONDS, SOUND_RATE_HZ = 10, 44_100
MESH_BYTES = MEGABYTE
AIM_IMAGE_MS, AIM_SOUND_MS, AIM_MESH_MS = 10, 300, 1
TRIANGLE_BYTES = 3 * 12

Measure = Callable[[BinaryIO, int, str], dict[str, Any]]


@dataclass(frozen=True)
class FactsCost:
    """Medians of measuring a file in memory. The rest of an image's time is for decoding it."""

    rounds: int
    image_bytes: int
    image_median_ms: float
    decoding_median_ms: float
    sound_median_ms: float
    mesh_median_ms: float
    aim_image_ms: float = AIM_IMAGE_MS
    aim_sound_ms: float = AIM_SOUND_MS
    aim_mesh_ms: float = AIM_MESH_MS


def measure_facts_cost(rounds: int) -> FactsCost:
    """Measure a soft RGBA PNG, a 16-bit stereo WAV, and a GLB."""
    picture = _draw_picture()
    image_ms, decoding_ms = _image_ms(picture, rounds)
    return FactsCost(
        rounds=rounds,
        image_bytes=len(picture),
        image_median_ms=image_ms,
        decoding_median_ms=decoding_ms,
        sound_median_ms=_sound_ms(rounds),
        mesh_median_ms=_mesh_ms(rounds),
    )


def facts_rows(cost: FactsCost) -> list[Row]:
    """Compare with the budgets; an image's budget is for the time beyond decoding it."""
    added_ms = cost.image_median_ms - cost.decoding_median_ms
    side = IMAGE_SIDE
    return [
        budget_row(f"Facts: image of {side}x{side}", added_ms, cost.aim_image_ms, ms),
        Row(measure="  decoding it", ours=cost.decoding_median_ms, shown=ms),
        budget_row(
            f"Facts: {SOUND_SECONDS} s of stereo", cost.sound_median_ms, cost.aim_sound_ms, ms
        ),
        budget_row("Facts: GLB of 1 MB", cost.mesh_median_ms, cost.aim_mesh_ms, ms),
    ]


def _image_ms(picture: bytes, rounds: int) -> tuple[float, float]:
    """Return the medians of measuring a PNG, and of only decoding it."""
    from layer_mcp.media.image_facts import measure_image  # noqa: PLC0415  it loads when used

    measuring_ms: list[float] = []
    decoding_ms: list[float] = []
    # Alternate, so that the machine's other work slows both.
    for _ in range(rounds + 1):
        measuring_ms.append(_elapsed_ms(lambda: _run(measure_image, picture, "image/png")))
        decoding_ms.append(_elapsed_ms(lambda: Image.open(io.BytesIO(picture)).load()))
    return statistics.median(measuring_ms[1:]), statistics.median(decoding_ms[1:])


def _sound_ms(rounds: int) -> float:
    from layer_mcp.media.sound_facts import measure_sound  # noqa: PLC0415  it loads when used

    return _median_ms(measure_sound, _make_sound(), "audio/wav", rounds)


def _mesh_ms(rounds: int) -> float:
    from layer_mcp.media.mesh_facts import measure_mesh  # noqa: PLC0415  it loads when used

    return _median_ms(measure_mesh, _make_mesh(), "model/gltf-binary", rounds)


def _median_ms(measure: Measure, data: bytes, content_type: str, rounds: int) -> float:
    elapsed = [_elapsed_ms(lambda: _run(measure, data, content_type)) for _ in range(rounds + 1)]
    return statistics.median(elapsed[1:])


def _run(measure: Measure, data: bytes, content_type: str) -> None:
    if not measure(io.BytesIO(data), len(data), content_type):
        raise RuntimeError(f"{content_type} was not measured.")


def _elapsed_ms(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def _draw_picture() -> bytes:
    """Draw a grainy gradient that fades out, so that no part of it is quick to measure."""
    size = (IMAGE_SIDE, IMAGE_SIDE)
    grain = Image.frombytes("L", size, random.Random(1).randbytes(IMAGE_SIDE**2))
    ramp = Image.linear_gradient("L").resize(size)
    glow = ImageChops.invert(Image.radial_gradient("L").resize(size))
    picture = Image.merge("RGBA", (Image.blend(ramp, grain, 0.1), ramp, glow, glow))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _make_sound() -> bytes:
    count = SOUND_SECONDS * SOUND_RATE_HZ
    tone = [round(20_000 * math.sin(n / 16 + 9 * math.sin(n / 9000))) for n in range(count)]
    samples = array("h", bytes(4 * count))
    samples[0::2] = samples[1::2] = array("h", tone)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((2, 2, SOUND_RATE_HZ, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def _make_mesh() -> bytes:
    """Return a GLB of separate triangles, all in one primitive."""
    count = 3 * (MESH_BYTES // TRIANGLE_BYTES)
    positions = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0) * (count // 3)
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": count,
                "type": "VEC3",
                "min": [0, 0, 0],
                "max": [1, 1, 0],
            }
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(positions)}],
        "buffers": [{"byteLength": len(positions)}],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(positions)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(positions), b"BIN\0") + positions
    return struct.pack("<4sII", b"glTF", 2, total) + chunks
