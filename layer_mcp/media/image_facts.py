"""Measure an image's headers and pixels, and describe what matters in a game."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from .images.checkerboard import has_drawn_checkerboard
from .images.decoding import is_affordable, open_image, quiet_pillow, to_8_bits
from .images.edges import EDGES, find_edges_cut_by_alpha, find_edges_cut_on_background
from .images.headers import KINDS, ImageHeader, read_header
from .images.pixel_grid import find_pixel_grid, take_blocks
from .images.seams import measure_seams
from .json_values import as_list
from .structure import find_flaw

if TYPE_CHECKING:
    from PIL import Image

CHECKED_KINDS = frozenset(("PNG", "JPEG", "WEBP"))
# Pillow decodes all of their kinds with at most 8 bits; of the others some are unknown to it.
DECODABLE_KINDS = frozenset(("PNG", "JPEG", "WEBP", "GIF"))
PIXEL_MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16"))

MAX_FILE_BYTES = 64 * 1024 * 1024
HEADER_BYTES = 1024 * 1024
WHOLE_JPEG_SIDE = 65_536

# Below, a pixel is invisible; above, it's opaque. Lossy formats don't reach exactly 0 and 255.
CLEAR_TO, OPAQUE_FROM = 4, 251
# With less transparency, an image is treated as opaque.
MIN_CLEAR_SHARE = 0.005
MAX_COLORS = 8192
# Strips of ground reach both edges, and continue at the opposite one.
SEAMLESS = 1.3


def measure_image(file: BinaryIO, size_bytes: int, content_type: str) -> dict[str, Any]:
    """Measure an image, as far as its format is known and decoding it is affordable.

    From the headers: `width`, `height`, `bit_depth` (bits of a channel), `power_of_two` (both
    sides), and `frames` of an animation. From the pixels of the first frame:

    - `alpha`: "none", "unused" (a channel in which every pixel is opaque), "one_bit" or "soft";
    - `transparent_share` of the fully transparent pixels, from 0 to 1, if alpha is used;
    - `drawn_checkerboard`: true if a checkerboard seems to be drawn instead of transparency;
    - `cut_edges`: those of "left", "top", "right", "bottom" that the subject touches, if it has a
      transparent or a plain background, doesn't touch all four, and doesn't go on seamlessly at
      the opposite edge;
    - `seam_x`, `seam_y`: 1 if the image tiles without a seam in that direction, see
      `measure_seams`;
    - `pixel_grid`: side of the blocks of enlarged pixel art in px;
    - `colors`: number of different pixels, up to 8,192, of pixel art in its own size.

    `flaw` says how the file is broken. Images of more than 25 megapixels, those that take more
    than 160 MB to decode, files of more than 64 MB, PSD, EXR and KTX2 are measured by their
    headers. Returns an empty dict for other types.
    """
    kind = KINDS.get(content_type)
    if kind is None:
        return {}
    file.seek(0)
    is_whole = size_bytes <= MAX_FILE_BYTES
    data = file.read(size_bytes if is_whole else HEADER_BYTES)
    header = read_header(data, kind)
    facts = _header_facts(header) if header else {}
    if not is_whole:
        # Frames are only known if the whole file is read.
        return {name: value for name, value in facts.items() if name != "frames"}
    if header and is_affordable(data, kind, WHOLE_JPEG_SIDE):
        facts |= _decoded_facts(data, kind, header)
    if flaw := _find_flaw(data, kind, content_type, header):
        facts["flaw"] = flaw
    return facts


def describe_image(facts: Mapping[str, Any]) -> list[str]:
    """Return remarks that a person should check before using an image."""
    remarks: list[str] = []
    if facts.get("drawn_checkerboard") is True:
        remarks.append("a checkerboard is drawn instead of transparency")
    edges = as_list(facts.get("cut_edges"))
    cut = [edge for edge in EDGES if edge in edges]
    if cut:
        names = " and ".join(filter(None, (", ".join(cut[:-1]), cut[-1])))
        remarks.append(f"the subject is cut at the {names} edge{'s' * (len(cut) > 1)}")
    if isinstance(flaw := facts.get("flaw"), str):
        remarks.append(flaw)
    return remarks


def _header_facts(header: ImageHeader) -> dict[str, Any]:
    sides = header.width, header.height
    facts: dict[str, Any] = {"width": header.width, "height": header.height}
    if header.bit_depth is not None:
        facts["bit_depth"] = header.bit_depth
    facts["power_of_two"] = all(side & (side - 1) == 0 for side in sides)
    if header.frames > 1:
        facts["frames"] = header.frames
    return facts


def _find_flaw(data: bytes, kind: str, content_type: str, header: ImageHeader | None) -> str | None:
    if kind in CHECKED_KINDS:
        return find_flaw(io.BytesIO(data), len(data), content_type)
    return header.flaw if header else None


def _decoded_facts(data: bytes, kind: str, header: ImageHeader) -> dict[str, Any]:
    with quiet_pillow():
        try:
            image = open_image(data, kind)
            frames: int = getattr(image, "n_frames", 1) if kind == "AVIF" else 1
            image.load()
        # Decoders raise their own exceptions for broken files, such as SyntaxError.
        except Exception:
            is_known = kind in DECODABLE_KINDS and header.bit_depth in (None, 1, 2, 4, 8)
            return {"flaw": "it can't be decoded"} if is_known else {}
        facts = {"frames": frames} if frames > 1 else {}
        return facts | (_pixel_facts(image) if image.mode in PIXEL_MODES else {})


def _pixel_facts(image: "Image.Image") -> dict[str, Any]:
    has_alpha = image.has_transparency_data
    mode = "RGBA" if has_alpha else "RGB"
    image = image if image.mode == mode else to_8_bits(image).convert(mode)
    facts: dict[str, Any] = _alpha_facts(image) if has_alpha else {"alpha": "none"}
    if facts["alpha"] == "unused":
        image = image.convert("RGB")
    is_opaque = facts.get("transparent_share", 0) < MIN_CLEAR_SHARE
    if is_opaque and has_drawn_checkerboard(image):
        facts["drawn_checkerboard"] = True
    grid = find_pixel_grid(image)
    native = take_blocks(image, grid) if grid else image
    seams = measure_seams(native)
    if edges := _cut_edges(native, seams, is_opaque=is_opaque):
        facts["cut_edges"] = edges
    colors = native.getcolors(MAX_COLORS)
    measured = {
        "seam_x": seams[0],
        "seam_y": seams[1],
        "pixel_grid": grid[0] if grid else None,
        "colors": len(colors) if colors else None,
    }
    return facts | {name: value for name, value in measured.items() if value is not None}


def _alpha_facts(image: "Image.Image") -> dict[str, Any]:
    """Look at the alpha of every pixel."""
    counts = image.getchannel("A").histogram()
    pixels = image.width * image.height
    opaque, clear = sum(counts[OPAQUE_FROM:]), sum(counts[: CLEAR_TO + 1])
    if opaque == pixels:
        return {"alpha": "unused"}
    kind = "one_bit" if opaque + clear == pixels else "soft"
    return {"alpha": kind, "transparent_share": round(clear / pixels, 3)}


def _cut_edges(
    image: "Image.Image", seams: tuple[float | None, float | None], *, is_opaque: bool
) -> list[str]:
    if is_opaque:
        edges = find_edges_cut_on_background(image)
    else:
        edges = find_edges_cut_by_alpha(image.getchannel("A"))
    for seam, pair in zip(seams, ({"left", "right"}, {"top", "bottom"}), strict=True):
        if seam is not None and seam < SEAMLESS and pair.issubset(edges):
            edges = [edge for edge in edges if edge not in pair]
    return edges
