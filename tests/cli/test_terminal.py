"""The commands at a real terminal that replies to queries, or doesn't."""

import os
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from layer_mcp.sandbox import RunningSandbox

from ..support.terminal import SMALL, Person, Shown, terminal

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="there are no ptys"),
    pytest.mark.process,
    pytest.mark.slow,
]
QUESTION = b"[y/N] "
RUN_ID = "00000000-0000-4000-8000-0000000000ff"
ASK_ALWAYS = {"LAYER_CONFIRM_ABOVE": "0.0001"}


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("shows", "drawn"), [("sixel", b"\x1bP0;1q"), ("kitty", b"\x1b_Ga=T,f=100,q=2")]
)
def test_the_preview_is_drawn_in_the_protocol_that_the_terminal_supports(
    shows: Shown, drawn: bytes, person: Person
) -> None:
    seen = person.at(terminal(shows), "generate", "x", *SMALL)
    assert (seen.exit_code, seen.left) == (0, b"")
    assert seen.sent.count(drawn) == 1


@pytest.mark.parametrize("shows", ["text", "nothing"])
def test_a_terminal_without_graphics_gets_the_paths_and_no_reply_is_left(
    shows: Shown, person: Person
) -> None:
    seen = person.at(terminal(shows), "generate", "x", *SMALL)
    assert (seen.exit_code, seen.left) == (0, b"")
    assert re.search(r"\.png \(image/png, 64x64, [0-9.]+ KB\)\n$", seen.text)


def test_a_dumb_terminal_gets_no_queries_and_plain_text(person: Person) -> None:
    seen = person.at(terminal(), "generate", "x", *SMALL, TERM="dumb")
    assert seen.exit_code == 0
    assert b"\x1b" not in seen.sent


def test_tmux_does_not_get_the_query_that_it_would_use_as_a_title(person: Person) -> None:
    seen = person.at(terminal("kitty"), "status", RUN_ID, TMUX="/tmp/tmux-0/default,1,0")
    assert b"\x1b[c" in seen.sent
    assert b"\x1b_G" not in seen.sent


def test_the_preview_is_drawn_as_blocks_on_request(person: Person) -> None:
    seen = person.at(terminal("nothing"), "generate", "x", *SMALL, "--picture=blocks")
    assert "▀▀▀▀▀▀" in seen.text


def test_text_typed_ahead_is_left_for_the_shell(person: Person) -> None:
    typing = replace(terminal("sixel"), typed=b"ls\n")
    seen = person.at(typing, "status", RUN_ID)
    assert seen.left == b"ls\n"
    assert b"\x1b[c" not in seen.sent


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("answer", "runs", "code"), [(b"y\n", 1, 0), (b"\n", 0, 1), (b"\x04", 0, 1)], ids=str
)
def test_an_expensive_run_starts_only_after_approval(
    answer: bytes, runs: int, code: int, person: Person, sandbox: RunningSandbox
) -> None:
    asked = terminal(answers={QUESTION: answer})
    seen = person.at(asked, "generate", "x", *SMALL, "--width=1000", "--no-wait", **ASK_ALWAYS)
    assert "Start 1 output for 0.01 CU? The balance is 1000 CU." in seen.text
    assert (sandbox.state.arrived["execute_inference"], seen.exit_code) == (runs, code)


def test_ctrl_c_at_the_price_question_sends_nothing(
    person: Person, sandbox: RunningSandbox
) -> None:
    asked = terminal(answers={QUESTION: b"\x03"})
    seen = person.at(asked, "generate", "x", *SMALL, "--width=1000", "--no-wait", **ASK_ALWAYS)
    assert seen.exit_code == 130
    assert seen.text.endswith("Nothing was sent.\n")
    assert sandbox.state.arrived["execute_inference"] == 0


def test_runs_show_their_file_and_a_short_id_in_80_columns(person: Person) -> None:
    ended = person.json("generate", "a red potion in a round bottle", *SMALL, "--out", "art")
    lines = person.at(terminal(), "runs").text.splitlines()
    [row] = [line for line in lines if "complete" in line]
    short_id = ended["inference_id"][:8]
    assert row.startswith("a red potion")
    assert row.endswith(f"{short_id}-1.png  {short_id}")
    assert cell_len(row) <= 80


@pytest.mark.parametrize("columns", [80, 120])
def test_a_list_fits_the_terminal_and_has_no_colors_with_no_color_set(
    columns: int, person: Person
) -> None:
    seen = person.at(terminal(columns=columns), "models", NO_COLOR="1")
    lines = [line for line in seen.text.splitlines() if line.startswith("Sandbox")]
    assert len(lines) == 7
    assert max(map(cell_len, lines)) <= columns
    assert b"\x1b[3" not in seen.sent
