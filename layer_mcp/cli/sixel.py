"""A picture as sixels: bands of six lines, each colour of a band drawn after the other.

As DEC's VT340 takes them, with a palette of at most 256 colours in percent.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

COLOURS = 256
BAND_ROWS = 6
FIRST_CHARACTER = 63
REPEATED = re.compile(rb"(.)\1{3,254}", re.DOTALL)


def sixels(picture: "Image.Image") -> bytes:
    """The escape sequence that draws an RGB picture, one pixel a pixel."""
    indexed = picture.quantize(COLOURS)
    width, height = indexed.size
    parts = [b'\x1bP0;1q"1;1;%d;%d' % (width, height)]
    palette = indexed.getpalette() or []
    for number in range(len(palette) // 3):
        red, green, blue = (part * 100 // 255 for part in palette[number * 3 : number * 3 + 3])
        parts.append(b"#%d;2;%d;%d;%d" % (number, red, green, blue))
    pixels = indexed.tobytes()
    for top in range(0, height, BAND_ROWS):
        rows = [
            pixels[row * width : (row + 1) * width]
            for row in range(top, min(top + BAND_ROWS, height))
        ]
        parts.append(_band(rows) + b"-")
    parts.append(b"\x1b\\")
    return b"".join(parts)


def _band(rows: list[bytes]) -> bytes:
    used = sorted(set(b"".join(rows)))
    return b"$".join(b"#%d" % colour + _shortened(_drawn(rows, colour)) for colour in used)


def _drawn(rows: list[bytes], colour: int) -> bytes:
    """The characters of one colour: a bit for each of the six lines, above the first character."""
    bits = 0
    for number, row in enumerate(rows):
        table = bytearray(256)
        table[colour] = 1 << number
        bits |= int.from_bytes(row.translate(bytes(table)), "big")
    base = int.from_bytes(bytes([FIRST_CHARACTER]) * len(rows[0]), "big")
    return (bits + base).to_bytes(len(rows[0]), "big")


def _shortened(characters: bytes) -> bytes:
    return REPEATED.sub(lambda run: b"!%d%s" % (len(run[0]), run[1]), characters)
