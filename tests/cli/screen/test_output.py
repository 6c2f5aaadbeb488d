"""What commands print: tables, text from outside, and answers that can't be written."""

import io
import json
import subprocess
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from layer_mcp.cli.screen.output import Column, plain, plain_json, render, table

from ...support.hosts import SCRIPT, child_environment
from ...support.terminal import Person

RUN_ID = "00000000-0000-4000-8000-0000000000ff"
COLUMNS = (
    Column("id"),
    Column("CU", "number"),
    Column("prompt", "text"),
    Column("about", "text", optional=True),
)
ROWS = [
    (RUN_ID, "12.5", "日本語の薬 " * 10, "x" * 200),
    (RUN_ID, "3", "[red]x[/red]", None),
]


def drawn(columns: int) -> list[str]:
    """The table's lines in a terminal of this width."""
    console = Console(file=io.StringIO(), width=columns, force_terminal=True, color_system=None)
    return "".join(render(console, part) for part in table(COLUMNS, ROWS, console)).splitlines()


@pytest.mark.parametrize("columns", [60, 80, 120, 200, 1000])
def test_a_table_fits_the_terminal(columns: int) -> None:
    lines = drawn(columns)
    assert len(lines) == 3
    assert max(map(cell_len, lines)) <= columns


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_an_id_is_never_shortened(columns: int) -> None:
    assert sum(RUN_ID in line for line in drawn(columns)) == 2


def test_a_narrow_table_drops_its_optional_column_first() -> None:
    assert "about" not in drawn(60)[0]
    assert "prompt" in drawn(60)[0]


def test_numbers_are_aligned_right_next_to_wide_letters() -> None:
    header, first, second = drawn(100)
    end = header.index("CU") + 2
    assert first[:end].endswith("12.5")
    assert second[:end].endswith("   3")


def test_markup_in_a_row_is_printed_as_text() -> None:
    assert "[red]x[/red]" in drawn(120)[2]


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]0;title\x07name", "]0;titlename"),
        ("\x9b2Jx", "2Jx"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("half \ud83d a pair", "half a pair"),
        ("👩\u200d🚀 日本語", "👩\u200d🚀 日本語"),
    ],
    ids=["color", "title", "C1", "lines", "direction", "surrogate", "emoji"],
)
def test_text_from_outside_cannot_control_the_terminal(foreign: str, shown: str) -> None:
    assert plain(foreign) == shown


def test_json_keeps_its_content_and_cannot_control_the_terminal() -> None:
    content = {"prompt": "\x9b2J \u202egnp \ud83d 日本語 👩\u200d🚀"}
    printed = plain_json(content, ascii_only=False)
    assert json.loads(printed) == content
    assert "\x9b" not in printed
    assert "日本語 👩\u200d🚀" in printed


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_answer_that_cannot_be_written_is_one_line_and_exit_code_1(person: Person) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [SCRIPT, "models", "--limit=1", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            env=child_environment(dict(person.environment)),
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("layer-mcp: Can't write the output: No space left")


def test_a_long_path_keeps_its_end() -> None:
    console = Console(file=io.StringIO(), width=30, force_terminal=True, color_system=None)
    rows = [("/home/you/game/art/a-red-potion-1.png", RUN_ID[:8])]
    [grid] = table((Column("file", "path"), Column("id")), rows, console)
    assert render(console, grid).splitlines()[1] == "…/a-red-potion-1.png  00000000"
