"""layer-mcp runs."""

import json

import pytest

from layer_mcp import Runs
from layer_mcp.errors import next_step_for_person

from ..support.terminal import SMALL, Person


def test_runs_of_other_commands_are_listed_with_their_price_and_file(person: Person) -> None:
    run_id = person.json("generate", "a potion [red]x[/red]", *SMALL)["inference_id"]
    ended = person.here("runs", "--since", "1h")
    [row] = ended.stdout.splitlines()[1:]
    assert row.startswith(f"{run_id}  complete ")
    assert "a potion [red]x[/red]" in row
    assert row.endswith(".png")
    assert ended.stderr == "1 run, 0 running, 0 CU spent.\n"


def test_a_page_of_runs_ends_with_the_option_for_the_next_page(person: Person) -> None:
    for prompt in ("x", "y"):
        person.done("generate", prompt, *SMALL, "--no-wait")
    first = person.here("runs", "--limit=1")
    cursor = first.stderr.partition("There are more: add --cursor ")[2].strip()
    second = person.done("runs", "--limit=1", "--cursor", cursor)
    assert len({first.stdout.splitlines()[1][:36], second.splitlines()[1][:36]}) == 2


def test_runs_without_a_journal_are_listed_with_a_warning(person: Person) -> None:
    (person.folder / "file").touch()
    ended = person.here("runs", LAYER_STATE_DIR=str(person.folder / "file"))
    assert "Nothing is kept between runs" in ended.stderr


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
