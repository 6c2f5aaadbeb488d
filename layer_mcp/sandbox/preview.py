"""Previews: a small JPEG that shows a picture, a video or a mesh."""

import io

from PIL import Image

from .picture import draw_picture
from .records import StoredFile

MAX_SIDE_PIXELS = 512
JPEG_QUALITY = 80
BACKGROUND = (24, 24, 32)


def has_preview(file: StoredFile) -> bool:
    """Whether there is something to see in a file that a run made."""
    return file.content_type.startswith("image/") or file.item is not None


def make_preview(file: StoredFile) -> bytes:
    """The preview as a JPEG; what is transparent becomes dark."""
    picture = _picture(file).convert("RGBA")
    picture.thumbnail((MAX_SIDE_PIXELS, MAX_SIDE_PIXELS))
    flat = Image.new("RGB", picture.size, BACKGROUND)
    flat.paste(picture, mask=picture.getchannel("A"))
    buffer = io.BytesIO()
    flat.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _picture(file: StoredFile) -> Image.Image:
    if file.item is None:
        return Image.open(io.BytesIO(file.data))
    width, height = file.width or MAX_SIDE_PIXELS, file.height or MAX_SIDE_PIXELS
    return draw_picture(file.item, caption=file.name, width=width, height=height, transparent=False)
