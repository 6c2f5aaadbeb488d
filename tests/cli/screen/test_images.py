"""Images in a terminal: what is drawn, and how large."""

import base64
import io
import re

import pytest
from PIL import Image, ImageChops

from layer_mcp.cli.screen.images import encode_kitty, encode_sixel, size_in_cells

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def flag() -> Image.Image:
    """Three stripes that neither a band of six rows nor a run of characters ends with."""
    picture = Image.new("RGB", (50, 20), RED)
    picture.paste(GREEN, (7, 5, 50, 20))
    picture.paste(BLUE, (0, 13, 31, 20))
    return picture


def decode_sixel(sequence: bytes) -> Image.Image:
    """What a terminal with sixel graphics draws."""
    found = re.fullmatch(rb'\x1bP0;1q"1;1;(\d+);(\d+)(.*)\x1b\\', sequence, re.DOTALL)
    assert found is not None
    picture = Image.new("RGB", (int(found[1]), int(found[2])))
    colors: dict[int, tuple[int, int, int]] = {}
    color, x, top = 0, 0, 0
    for part in re.finditer(rb"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)(.)|[$-]|[?-~]", found[3]):
        if part[2]:
            red, green, blue = (round(int(share) * 2.55) for share in part.group(2, 3, 4))
            colors[int(part[1])] = (red, green, blue)
        elif part[1]:
            color = int(part[1])
        elif part[0] in (b"$", b"-"):
            x, top = 0, top + (6 if part[0] == b"-" else 0)
        else:
            times, letter = (int(part[5]), part[6]) if part[5] else (1, part[0])
            for column in range(x, x + times):
                for row in range(6):
                    if (letter[0] - 63) >> row & 1:
                        picture.putpixel((column, top + row), colors[color])
            x += times
    return picture


def test_sixel_graphics_draw_the_image() -> None:
    assert ImageChops.difference(decode_sixel(encode_sixel(flag())), flag()).getbbox() is None


def test_kitty_gets_the_whole_image_in_chunks_and_never_replies() -> None:
    noise = Image.effect_noise((120, 120), 90).convert("RGB")
    sequence = encode_kitty(noise, 12, 6)
    chunks = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", sequence)
    assert len(chunks) > 2
    assert all(b"q=2" in keys and len(data) <= 4096 for keys, data in chunks)
    assert [keys.rpartition(b"m=")[2] for keys, _ in chunks] == [b"1"] * (len(chunks) - 1) + [b"0"]
    png = base64.b64decode(b"".join(data for _, data in chunks))
    with Image.open(io.BytesIO(png)) as sent:
        assert ImageChops.difference(sent, noise).getbbox() is None


@pytest.mark.parametrize(
    ("pixels", "cells"),
    [((100, 100), (10, 5)), ((2000, 1000), (60, 15)), ((100, 4000), (1, 24)), ((1, 1), (1, 1))],
    ids=str,
)
def test_an_image_keeps_its_proportions_in_the_available_room(
    pixels: tuple[int, int], cells: tuple[int, int]
) -> None:
    assert size_in_cells(pixels, (10, 20), (60, 24)) == cells
