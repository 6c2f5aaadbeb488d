"""The manifest as CSV, JSON and Markdown, with text that means something in each of them."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from layer_mcp.runs.manifest.formats import COLUMNS, FORMATS, FormatName
from layer_mcp.runs.manifest.types import MadeFile, ManifestTotals

NOW = datetime.now(UTC)
MADE = MadeFile("run", "inference", 1, "unchanged", Path("art/potion.png"), model_id="m")


def text_of(name: FormatName, *made: MadeFile) -> str:
    style, totals = FORMATS[name], ManifestTotals()
    for one in made:
        totals.add(one)
    return style.head(totals) + style.separator.join(map(style.row, made)) + style.tail


def made_with(**values: Any) -> MadeFile:
    return MadeFile(**{**vars(MADE), **values})


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\n", "\uff1d"])
def test_a_prompt_cannot_become_a_formula(start: str) -> None:
    [row] = csv_rows(text_of("csv", made_with(prompt=f"{start}cmd()")))
    assert row["prompt"] == f"'{start}cmd()"


def test_csv_keeps_quotes_and_line_breaks_in_a_cell() -> None:
    prompt = 'a "red", round\npotion; 火'
    [row] = csv_rows(text_of("csv", made_with(prompt=prompt)))
    assert row["prompt"] == prompt


def test_csv_lines_end_as_the_standard_says() -> None:
    assert text_of("csv", MADE).count("\r\n") == 2


def test_csv_has_a_column_for_everything_in_json() -> None:
    full = made_with(
        workflow_id="w",
        workspace_id="w1",
        prompt="p",
        seed=7,
        references=({"file_id": "f"},),
        run_price_creative_units=1.5,
        run_price_is="actual",
        asked_at=NOW,
        completed_at=NOW,
        is_simulated=True,
        content_type="image/png",
        declared_type="image/jpeg",
        size_bytes=1,
        sha256="00",
        content_credentials=True,
        facts={"width": 1},
    )
    assert set(full.as_json()) == set(COLUMNS)


def test_facts_and_references_are_json_in_a_cell() -> None:
    made = made_with(facts={"width": 64, "codec": "火"}, references=({"file_id": "f"},))
    [row] = csv_rows(text_of("csv", made))
    assert json.loads(row["facts"]) == {"width": 64, "codec": "火"}
    assert json.loads(row["references"]) == [{"file_id": "f"}]


def test_flags_are_written_as_in_json() -> None:
    [row] = csv_rows(text_of("csv", made_with(content_credentials=False)))
    assert (row["content_credentials"], row["simulated"]) == ("false", "")


def test_a_json_manifest_has_the_totals_before_the_files() -> None:
    content = json.loads(text_of("json", MADE, made_with(number=2, state="changed")))
    assert list(content) == ["made_with", "generated_at", "totals", "files"]
    assert [one["number"] for one in content["files"]] == [1, 2]
    assert (content["totals"]["files"], content["totals"]["changed"]) == (2, 1)


def test_an_empty_json_manifest_is_a_document() -> None:
    assert json.loads(text_of("json"))["files"] == []


def test_json_escapes_what_controls_a_terminal() -> None:
    made = made_with(facts={"codec": "\x1b[2J\u202e"})
    text = text_of("json", made)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert json.loads(text)["files"][0]["facts"] == made.facts


def cells_of(markdown: str) -> list[str]:
    last = markdown.splitlines()[-1]
    return last.removeprefix("| ").removesuffix(" |").split(" | ")


def test_a_prompt_of_several_lines_is_one_cell_in_markdown() -> None:
    before = text_of("markdown", made_with(prompt="a potion"))
    after = text_of("markdown", made_with(prompt="a | b\n| c |\r\n\u2028d"))
    assert len(after.splitlines()) == len(before.splitlines())
    assert r"a \| b \| c \| d" in after


def test_markup_in_a_prompt_is_text_in_markdown() -> None:
    text = text_of("markdown", made_with(prompt="![x](https://a.test/b.png) <b>*c*</b> `d` \\"))
    assert r"!\[x\](https://a.test/b.png) \<b\>\*c\*\</b\> \`d\` \\" in text


def test_markdown_has_the_totals_at_the_top() -> None:
    made = made_with(run_price_creative_units=0.5, run_price_is="actual", state="missing")
    assert text_of("markdown", made).splitlines()[2] == (
        "1 file of 1 run, 1 model, 0.5 CU, 1 missing."
    )


def test_markdown_says_what_is_an_estimate_or_simulated() -> None:
    made = made_with(
        run_price_creative_units=0.5, run_price_is="estimated", is_simulated=True, facts={}
    )
    cells = cells_of(text_of("markdown", made))
    assert (cells[1], cells[7]) == ("unchanged (simulated)", "about 0.5")


def test_a_path_cannot_control_a_terminal() -> None:
    made = made_with(path=Path("a\x1b[2J\udcff.png"))
    assert all("\x1b" not in text_of(name, made) for name in FORMATS)
    assert json.loads(text_of("json", made))["files"][0]["path"] == "a[2J.png"


@pytest.mark.parametrize(
    ("name", "cell"),
    [("sword_01.png", "sword_01.png"), ("_sword_", r"\_sword\_"), ("a__b", r"a\_\_b")],
)
def test_an_underscore_in_a_word_stays_readable(name: str, cell: str) -> None:
    row = FORMATS["markdown"].row(made_with(path=Path(name)))
    assert row.startswith(f"| {cell} |")
