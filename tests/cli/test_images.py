"""Pictures at a terminal: how it is asked, and what is drawn."""

import base64
import io
import re

import pytest
from PIL import Image, ImageChops

from layer_mcp.cli.kitty import kitty_picture
from layer_mcp.cli.pictures import size_in_letters
from layer_mcp.cli.sixel import sixels

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def flag() -> Image.Image:
    """Three stripes that no band of six lines and no run of letters ends with."""
    picture = Image.new("RGB", (50, 20), RED)
    picture.paste(GREEN, (7, 5, 50, 20))
    picture.paste(BLUE, (0, 13, 31, 20))
    return picture


def seen_in(sequence: bytes) -> Image.Image:
    """What a terminal that knows sixels draws."""
    found = re.fullmatch(rb'\x1bP0;1q"1;1;(\d+);(\d+)(.*)\x1b\\', sequence, re.DOTALL)
    assert found is not None
    picture = Image.new("RGB", (int(found[1]), int(found[2])))
    colours: dict[int, tuple[int, int, int]] = {}
    colour, x, top = 0, 0, 0
    for part in re.finditer(rb"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)(.)|[$-]|[?-~]", found[3]):
        if part[2]:
            red, green, blue = (round(int(share) * 2.55) for share in part.group(2, 3, 4))
            colours[int(part[1])] = (red, green, blue)
        elif part[1]:
            colour = int(part[1])
        elif part[0] in (b"$", b"-"):
            x, top = 0, top + (6 if part[0] == b"-" else 0)
        else:
            times, letter = (int(part[5]), part[6]) if part[5] else (1, part[0])
            for column in range(x, x + times):
                for row in range(6):
                    if (letter[0] - 63) >> row & 1:
                        picture.putpixel((column, top + row), colours[colour])
            x += times
    return picture


def test_sixels_draw_the_picture() -> None:
    assert ImageChops.difference(seen_in(sixels(flag())), flag()).getbbox() is None


def test_kitty_gets_the_whole_picture_in_chunks_and_answers_none() -> None:
    noise = Image.effect_noise((120, 120), 90).convert("RGB")
    sequence = kitty_picture(noise, 12, 6)
    chunks = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", sequence)
    assert len(chunks) > 2
    assert all(b"q=2" in keys and len(data) <= 4096 for keys, data in chunks)
    assert [keys.rpartition(b"m=")[2] for keys, _ in chunks] == [b"1"] * (len(chunks) - 1) + [b"0"]
    png = base64.b64decode(b"".join(data for _, data in chunks))
    with Image.open(io.BytesIO(png)) as sent:
        assert ImageChops.difference(sent, noise).getbbox() is None


@pytest.mark.parametrize(
    ("pixels", "letters"),
    [((100, 100), (10, 5)), ((2000, 1000), (60, 15)), ((100, 4000), (1, 24)), ((1, 1), (1, 1))],
    ids=str,
)
def test_a_picture_keeps_its_proportions_within_the_room(
    pixels: tuple[int, int], letters: tuple[int, int]
) -> None:
    assert size_in_letters(pixels, (10, 20), (60, 24)) == letters
