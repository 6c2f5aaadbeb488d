"""layer-mcp runs."""

import json
import os
import sys
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest

from layer_mcp import Runs
from layer_mcp.errors import next_step_for_person

from ..support.terminal import SMALL, Person


def test_runs_of_other_commands_are_listed_with_their_price_and_file(person: Person) -> None:
    run_id = person.json("generate", "a potion [red]x[/red]", *SMALL)["inference_id"]
    ended = person.here("runs", "--since", "1h")
    [row] = ended.stdout.splitlines()[1:]
    assert row.startswith("a potion [red]x[/red]  complete ")
    assert row.endswith(f".png  {run_id}")
    assert ended.stderr == "1 run, 0 running, 0 CU spent.\n"


def test_a_page_of_runs_ends_with_the_option_for_the_next_page(person: Person) -> None:
    for prompt in ("x", "y"):
        person.done("generate", prompt, *SMALL, "--no-wait")
    first = person.here("runs", "--limit=1")
    cursor = first.stderr.partition("To see more, add --cursor ")[2].strip()
    second = person.done("runs", "--limit=1", "--cursor", cursor)
    assert len({first.stdout.splitlines()[1][-36:], second.splitlines()[1][-36:]}) == 2


@pytest.mark.parametrize("length", [4, 8, 36])
def test_a_run_is_found_by_the_beginning_of_its_id(length: int, person: Person) -> None:
    run_id = person.json("generate", "x", *SMALL)["inference_id"]
    assert person.json("status", run_id[:length].upper())["inference_id"] == run_id


def test_last_is_the_newest_run(person: Person) -> None:
    person.done("generate", "x", *SMALL)
    run_id = person.json("generate", "y", *SMALL)["inference_id"]
    assert person.json("status", "last")["inference_id"] == run_id


def test_rejects_an_ambiguous_id_prefix_and_lists_the_ids(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = iter(UUID(f"abcd{number}000-0000-4000-8000-000000000000") for number in range(2))
    monkeypatch.setattr("layer_mcp.sandbox.state.uuid4", lambda: next(ids))
    for prompt in ("x", "y"):
        person.done("generate", prompt, *SMALL, "--no-wait")
    ended = person.here("status", "abcd")
    assert ended.returncode == 2
    assert "Several runs begin with abcd: abcd1000-0000" in ended.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("last", "No run was started here."),
        ("abcd", "No run begins with abcd."),
        ("abc", "at least the first 4 characters"),
        ("%___", "RUN must be an ID"),
    ],
)
def test_a_run_that_nothing_matches_is_refused(text: str, said: str, person: Person) -> None:
    ended = person.here("status", text)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr


@pytest.fixture
def opened(person: Person, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with what the system's program was asked to open."""
    programs = person.folder / "programs"
    programs.mkdir()
    asked = person.folder / "asked"
    (programs / "xdg-open").write_text(f'#!/bin/sh\nprintf "%s" "$1" > "{asked}"\n')
    (programs / "xdg-open").chmod(0o755)
    monkeypatch.setitem(
        cast("dict[str, str]", person.environment), "PATH", f"{programs}:{os.environ['PATH']}"
    )
    return asked


@pytest.mark.skipif(sys.platform != "linux", reason="xdg-open is of Linux")
def test_open_opens_the_saved_file_of_the_newest_run(person: Person, opened: Path) -> None:
    [output] = person.json("generate", "x", *SMALL, "--out", "art")["outputs"]
    assert person.done("open") == f"{output['path']}\n"
    assert opened.read_text() == output["path"]


@pytest.mark.skipif(sys.platform != "linux", reason="xdg-open is of Linux")
@pytest.mark.parametrize("arguments", [("-n=1", "--folder"), ("-n=2",)], ids=str)
def test_open_opens_the_folder_on_request_and_for_several_files(
    arguments: tuple[str, ...], person: Person, opened: Path
) -> None:
    count, *options = arguments
    person.done("generate", "x", *SMALL, count, "--out", "art")
    person.done("open", "last", *options)
    assert opened.read_text() == str(person.folder / "art")


def test_open_says_how_to_save_what_is_not_saved(person: Person) -> None:
    person.done("generate", "x", *SMALL, "--no-wait")
    assert "To save its files, run layer-mcp status " in person.failed("open")


def test_runs_without_a_journal_are_listed_with_a_warning(person: Person) -> None:
    (person.folder / "file").touch()
    ended = person.here("runs", LAYER_STATE_DIR=str(person.folder / "file"))
    assert "Runs are only kept in memory" in ended.stderr


def test_an_invalid_setting_is_an_error_object_for_programs(person: Person) -> None:
    ended = person.here("runs", "--json", LAYER_MAX_PRICE="much")
    content = json.loads(ended.stdout)
    assert (ended.returncode, content["error"]["code"]) == (2, "INVALID_ARGUMENTS")


def test_a_crash_is_reported_with_what_to_do(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_arguments: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Runs, "totals", crash)
    said = person.failed("runs")
    assert said.endswith(f"layer-mcp: The command failed. {next_step_for_person('TOOL_CRASHED')}\n")
