"""Pictures of small game items, drawn from a prompt and a seed, and the sandbox's one video."""

import colorsys
import hashlib
import io
import math
import random
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

from PIL import Image, ImageDraw, ImageFont

GRID = 32
ROWS = 24
SIMULATED = "(simulated)"
CAPTION_SHARE = 0.94
MAX_PREVIEW_PIXELS = 512
PREVIEW_QUALITY = 80
PREVIEW_BACKGROUND = (24, 24, 32)
SAMPLE_SIDE_PIXELS = 64
MIN_SATURATION, MIN_VALUE, MIN_ALPHA = 0.25, 0.2, 128
HUES = {
    "red": 0.0,
    "orange": 0.07,
    "gold": 0.12,
    "golden": 0.12,
    "yellow": 0.15,
    "green": 0.33,
    "teal": 0.48,
    "cyan": 0.52,
    "blue": 0.6,
    "purple": 0.77,
    "violet": 0.75,
    "pink": 0.9,
}

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Item:
    """A round object: its hue (0-1), and its half width (0-1) in each row from the top."""

    hue: float
    profile: tuple[float, ...]
    seed: int


def item_for(prompt: str, seed: str, index: int) -> Item:
    """Return the item for a prompt, a seed and an index in the batch, always the same one."""
    digest = hashlib.sha256(f"{prompt}\0{seed}\0{index}".encode()).digest()
    number = int.from_bytes(digest[:8])
    chance = random.Random(number)  # noqa: S311
    named = [HUES[word] for word in prompt.lower().split() if word in HUES]
    return Item(
        hue=named[0] if named else chance.random(),
        profile=_profile(chance),
        seed=number,
    )


def draw_picture(
    item: Item, *, caption: str, width: int, height: int, transparent: bool
) -> Image.Image:
    """Draw an item. Unless it's transparent, the picture has a caption that says it's simulated."""
    image = Image.new("RGBA", (width, height)) if transparent else _backdrop(item, width, height)
    side = int(min(width, height) * 0.72)
    sprite = _sprite(item).resize((side, side), Image.Resampling.NEAREST)
    image.alpha_composite(sprite, ((width - side) // 2, max((height - side) // 2 - side // 20, 0)))
    if transparent:
        return image
    _write_caption(image, caption)
    return image.convert("RGB")


def encode_picture(image: Image.Image, kind: str) -> bytes:
    """Return a picture as the bytes of a PNG or WebP file."""
    buffer = io.BytesIO()
    if kind == "webp":
        image.save(buffer, "WEBP", quality=85)
    else:
        image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def encode_preview(picture: Image.Image) -> bytes:
    """Return a small JPEG of a picture, with a dark background instead of transparency."""
    small = picture.convert("RGBA")
    small.thumbnail((MAX_PREVIEW_PIXELS, MAX_PREVIEW_PIXELS))
    flat = Image.new("RGB", small.size, PREVIEW_BACKGROUND)
    flat.paste(small, mask=small.getchannel("A"))
    buffer = io.BytesIO()
    flat.save(buffer, "JPEG", quality=PREVIEW_QUALITY)
    return buffer.getvalue()


def open_picture(data: bytes) -> Image.Image | None:
    """Return the picture in a file, or None if it isn't a picture."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGBA")
    # Pillow raises many kinds of errors for bytes that aren't a picture.
    except Exception:
        return None


def read_clip() -> bytes:
    """Return the sandbox's one video, an MP4."""
    return (files("layer_mcp.sandbox") / "clip.mp4").read_bytes()


def reference_hue(references: Iterable[bytes]) -> float | None:
    """Return the hue (0-1) of the first reference file that has a color."""
    pictures = (open_picture(data) for data in references)
    hues = (_average_hue(picture) for picture in pictures if picture is not None)
    return next((hue for hue in hues if hue is not None), None)


def _average_hue(picture: Image.Image) -> float | None:
    """Return the average angle of the saturated pixels' hues, or None without any."""
    sample = picture.resize((SAMPLE_SIDE_PIXELS, SAMPLE_SIDE_PIXELS))
    east = north = 0.0
    for red, green, blue, alpha in zip(*[iter(sample.tobytes())] * 4, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
        if saturation >= MIN_SATURATION and value >= MIN_VALUE and alpha >= MIN_ALPHA:
            # People notice bright, saturated colors; a dark backdrop should count for little.
            weight = saturation * value**2
            east += weight * math.cos(2 * math.pi * hue)
            north += weight * math.sin(2 * math.pi * hue)
    if math.hypot(east, north) < 1:
        return None
    return math.atan2(north, east) / (2 * math.pi) % 1


def shade(hue: float, saturation: float, value: float) -> Color:
    """Return an RGB color (0-255) for a hue, a saturation and a value (0-1)."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _profile(chance: random.Random) -> tuple[float, ...]:
    """Return the half widths of a bottle: a narrow neck, a shoulder, a belly and a foot."""
    neck = chance.uniform(0.16, 0.3)
    points = [neck, neck, chance.uniform(0.35, 0.8), chance.uniform(0.7, 1.0)]
    points += [chance.uniform(0.45, 1.0), chance.uniform(0.35, 0.8)]
    outline: list[float] = []
    for row in range(ROWS):
        place = row / (ROWS - 1) * (len(points) - 1)
        left = min(int(place), len(points) - 2)
        ease = (1 - math.cos((place - left) * math.pi)) / 2
        outline.append(points[left] * (1 - ease) + points[left + 1] * ease)
    return tuple(outline)


def _sprite(item: Item) -> Image.Image:
    image = Image.new("RGBA", (GRID, GRID))
    half, top = GRID // 2, (GRID - ROWS) // 2
    inside: set[tuple[int, int]] = set()
    for row, share in enumerate(item.profile):
        reach = max(round(share * (half - 4)), 2)
        inside |= {(x, top + row) for x in range(half - reach, half + reach)}
    cork = {(x, top - 1 - y) for y in range(3) for x in range(half - 2, half + 2)}
    for x, y in inside:
        image.putpixel((x, y), (*_body_color(item, x - half, y - top), 255))
    for x, y in cork:
        image.putpixel((x, y), (150 - 14 * (x - half), 104, 62, 255))
    around = {
        (x + i, y + j) for x, y in inside | cork for i, j in ((1, 0), (-1, 0), (0, 1), (0, -1))
    }
    for x, y in around - inside - cork:
        image.putpixel((x, y), (24, 18, 30, 255))
    return image


def _body_color(item: Item, x: int, row: int) -> Color:
    reach = max(item.profile[row] * (GRID // 2 - 4), 2)
    side = x / reach
    filled = row > ROWS * 0.32 + math.sin(x * 0.9 + item.seed % 7) * 0.8
    light = 0.95 - 0.28 * side - 0.1 * row / ROWS
    if -0.72 < side < -0.4 and row % 9 != 0:
        return shade(item.hue, 0.12 if filled else 0.04, 1.0)
    return shade(item.hue, 0.78 if filled else 0.14, light if filled else light * 0.9)


def _backdrop(item: Item, width: int, height: int) -> Image.Image:
    tall = Image.new("RGB", (1, 2))
    tall.putpixel((0, 0), shade(item.hue + 0.5, 0.45, 0.3))
    tall.putpixel((0, 1), shade(item.hue + 0.55, 0.6, 0.1))
    backdrop = tall.resize((width, height), Image.Resampling.BICUBIC)
    glow = (
        Image.radial_gradient("L")
        .resize((width, height))
        .point([max(150 - v, 0) for v in range(256)])
    )
    backdrop.paste(shade(item.hue, 0.4, 0.9), (0, 0), glow)
    return backdrop.convert("RGBA")


def _write_caption(image: Image.Image, caption: str) -> None:
    size = max(min(image.width, image.height) // 30, 9)
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(image)
    # The font has no accented letters, so "é" is written as "e".
    plain = unicodedata.normalize("NFKD", " ".join(caption.split())[:60])
    words = plain.encode("ascii", "ignore").decode()
    texts = [f"{words}  {SIMULATED}"]
    texts += [f"{words[:end].rstrip()}...  {SIMULATED}" for end in range(len(words) - 1, 0, -1)]
    widest = image.width * CAPTION_SHARE
    fitting = (text for text in texts if draw.textlength(text, font=font) <= widest)
    place = (image.width / 2, image.height - size * 1.8)
    text = next(fitting, SIMULATED)
    draw.text(place, text, font=font, fill=(255, 255, 255, 220), anchor="mm")
