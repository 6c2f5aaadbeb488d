"""Scale pictures down for a preview."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..images.decoding import is_affordable, open_image, quiet_pillow, to_8_bits
from ..images.headers import KINDS
from ..sniff import sniff

if TYPE_CHECKING:
    from PIL import Image

MAX_SIDE = 512
# A JPEG is reduced to no less than this while it is decoded.
DRAFT_SIDE = 2 * MAX_SIDE

Size = tuple[int, int]


@dataclass(frozen=True)
class SmallPicture:
    """A picture in RGB or RGBA, upright, and at most 512 px on a side.

    It is shown `repeat` times in each direction, so that a texture's seams can be seen.
    """

    image: "Image.Image"
    repeat: int = 1

    @property
    def size(self) -> Size:
        """Return the width and height of what is shown."""
        return self.image.width * self.repeat, self.image.height * self.repeat


def small_picture(
    data: bytes, boxes: Iterable[Size] = ((MAX_SIDE, MAX_SIDE),), *, repeat: int = 1
) -> SmallPicture | None:
    """Scale a picture down, never up, to the largest size that it has in any of the boxes.

    Returns None for a file that can't be decoded, or that takes too much, see `is_affordable`.
    Blocks while it computes, so call it in a thread, one at a time.
    """
    kind = KINDS.get(sniff(data[:64]) or "")
    if kind is None or not is_affordable(data, kind, DRAFT_SIDE):
        return None
    with quiet_pillow():
        try:
            image = _rotate_upright(_shrink(data, kind, list(boxes), repeat))
        # Every decoder raises its own errors for broken files, such as SyntaxError.
        except Exception:
            return None
    return SmallPicture(image, repeat)


def fit_size(size: Size, box: Size, repeat: int = 1) -> Size:
    """Return the size of a picture that fits a box with its repetitions, scaled down only."""
    width, height = box[0] // repeat, box[1] // repeat
    scale = min(1, width / size[0], height / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def scale_down(image: "Image.Image", size: Size) -> "Image.Image":
    """Average whole pixels to come near a size, then filter what remains."""
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    if image.size == size:
        return image
    return image.resize(size, Image.Resampling.HAMMING, reducing_gap=1.0)


def _shrink(data: bytes, kind: str, boxes: list[Size], repeat: int) -> "Image.Image":
    """Decode a picture, scale it to its largest size in any box, and convert to RGB or RGBA."""
    from PIL import Image  # noqa: PLC0415  only runs with pictures need Pillow

    image = open_image(data, kind)
    has_transparency = image.has_transparency_data
    # A picture that lies on its side may be turned upright later, so its box is turned too.
    turned = [(height, width) for width, height in boxes]
    size = max(fit_size(image.size, box, repeat) for box in {*boxes, *turned})
    # Reduce a JPEG while it is decoded, then subsample what is still large without a copy.
    image.draft(None, size)
    image.thumbnail((4 * MAX_SIDE, 4 * MAX_SIDE), Image.Resampling.NEAREST, reducing_gap=None)
    image = to_8_bits(image).convert("RGBA" if has_transparency else "RGB")
    if has_transparency and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    return scale_down(image, size)


def _rotate_upright(image: "Image.Image") -> "Image.Image":
    """Rotate or flip a picture by its EXIF orientation (1-8)."""
    from PIL import ExifTags, Image  # noqa: PLC0415  only runs with pictures need Pillow

    transposes = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        transpose = transposes.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        # Ignore broken metadata.
        return image
    return image if transpose is None else image.transpose(transpose)
