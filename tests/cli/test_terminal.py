"""The commands at a real terminal, whose other end answers or does not."""

import os
import re
from dataclasses import replace
from pathlib import Path

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
DEAR = {"LAYER_CONFIRM_ABOVE": "0.0001"}


@pytest.fixture
def person(environment: dict[str, str], tmp_path: Path) -> Person:
    return Person(tmp_path, environment)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("shows", "drawn"), [("sixel", b"\x1bP0;1q"), ("kitty", b"\x1b_Ga=T,f=100,q=2")]
)
def test_the_picture_is_shown_where_the_terminal_can(
    shows: Shown, drawn: bytes, person: Person
) -> None:
    seen = person.at(terminal(shows), "generate", "x", *SMALL)
    assert (seen.exit_code, seen.left) == (0, b"")
    assert seen.sent.count(drawn) == 1


@pytest.mark.parametrize("shows", ["text", "nothing"])
def test_a_terminal_without_pictures_gets_the_paths_and_keeps_no_answer(
    shows: Shown, person: Person
) -> None:
    seen = person.at(terminal(shows), "generate", "x", *SMALL)
    assert (seen.exit_code, seen.left) == (0, b"")
    assert re.search(r"\.png \(image/png, 64x64, [0-9.]+ KB\)\n$", seen.text)


def test_a_dumb_terminal_is_asked_nothing_and_gets_plain_text(person: Person) -> None:
    seen = person.at(terminal(), "generate", "x", *SMALL, TERM="dumb")
    assert seen.exit_code == 0
    assert b"\x1b" not in seen.sent


def test_within_tmux_no_question_is_asked_that_it_takes_for_a_title(person: Person) -> None:
    seen = person.at(terminal("kitty"), "status", RUN_ID, TMUX="/tmp/tmux-0/default,1,0")
    assert b"\x1b[c" in seen.sent
    assert b"\x1b_G" not in seen.sent


def test_blocks_are_drawn_where_they_are_asked_for(person: Person) -> None:
    seen = person.at(terminal("nothing"), "generate", "x", *SMALL, "--picture=blocks")
    assert "▀▀▀▀▀▀" in seen.text


def test_what_was_typed_ahead_is_left_for_the_shell(person: Person) -> None:
    typing = replace(terminal("sixel"), typed=b"ls\n")
    seen = person.at(typing, "status", RUN_ID)
    assert seen.left == b"ls\n"
    assert b"\x1b[c" not in seen.sent


@pytest.mark.smoke
@pytest.mark.parametrize(("answer", "runs", "code"), [(b"y\n", 1, 0), (b"\n", 0, 1)], ids=str)
def test_a_dear_run_is_started_after_a_yes_only(
    answer: bytes, runs: int, code: int, person: Person, sandbox: RunningSandbox
) -> None:
    asked = terminal(answers={QUESTION: answer})
    seen = person.at(asked, "generate", "x", *SMALL, "--width=1000", "--no-wait", **DEAR)
    assert "Start 1 output with Sandbox Image for 0.01 CU? The balance is 1000 CU." in seen.text
    assert (sandbox.state.arrived["execute_inference"], seen.exit_code) == (runs, code)


def test_ctrl_c_at_the_question_ends_the_command_and_sends_nothing(
    person: Person, sandbox: RunningSandbox
) -> None:
    asked = terminal(answers={QUESTION: b"\x03"})
    seen = person.at(asked, "generate", "x", *SMALL, "--width=1000", "--no-wait", **DEAR)
    assert seen.exit_code == 130
    assert seen.text.endswith("Nothing was sent.\n")
    assert sandbox.state.arrived["execute_inference"] == 0


@pytest.mark.parametrize("columns", [80, 120])
def test_a_list_fits_the_terminal_without_colours_where_they_are_not_wanted(
    columns: int, person: Person
) -> None:
    seen = person.at(terminal(columns=columns), "models", NO_COLOR="1")
    lines = [line for line in seen.text.splitlines() if line.startswith("0000")]
    assert len(lines) == 7
    assert max(map(cell_len, lines)) <= columns
    assert b"\x1b[3" not in seen.sent
