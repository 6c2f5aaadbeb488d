"""The sandbox's pictures."""

import pytest

from layer_mcp.sandbox.pictures import draw_picture, item_for


@pytest.mark.parametrize("side", [256, 512, 1024])
def test_a_long_caption_stays_inside_the_picture(side: int) -> None:
    def edge(caption: str) -> bytes:
        item = item_for("potion", "7", 0)
        picture = draw_picture(item, caption=caption, width=side, height=side, transparent=False)
        return picture.crop((0, 0, 4, side)).tobytes()

    assert edge("W" * 60) == edge("W")
