"""A picture in kitty's graphics protocol, which other terminals speak too."""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

CHUNK_CHARACTERS = 4096


def kitty_picture(picture: "Image.Image", columns: int, rows: int) -> bytes:
    """The escape sequences that draw a picture over so many letters; the cursor stays."""
    png = io.BytesIO()
    picture.save(png, "PNG")
    data = base64.b64encode(png.getvalue())
    chunks = [data[at : at + CHUNK_CHARACTERS] for at in range(0, len(data), CHUNK_CHARACTERS)]
    # q=2 keeps the terminal from answering, which the shell would find.
    keys = b"a=T,f=100,q=2,C=1,c=%d,r=%d," % (columns, rows)
    parts: list[bytes] = []
    for number, chunk in enumerate(chunks, 1):
        more = 0 if number == len(chunks) else 1
        parts.append(b"\x1b_G%sm=%d;%s\x1b\\" % (keys, more, chunk))
        keys = b"q=2,"
    return b"".join(parts)
