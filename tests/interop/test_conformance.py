"""How the public suite is judged: only the exceptions in the committed list may fail."""

import re
from pathlib import Path

import pytest

from conformance.suite import Check, Results
from conformance.verdict import (
    Exceptions,
    committed_list,
    find_list_mistakes,
    find_problems,
    passing,
    table,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
NOTHING = Exceptions(fixtures={}, not_offered={})
TOOL = Exceptions(fixtures={"calls-a-tool": "test_tool"}, not_offered={})
ONE_CHECK = Exceptions(fixtures={}, not_offered={"stateless/sessions": "There are none."})

GOOD = Check("answers", "SUCCESS", "")
BAD = Check("answers", "FAILURE", "It does not.")


def names_on_the_page() -> dict[str, list[str]]:
    found = re.search(r"<!-- conformance: .*?-->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert found is not None
    rows = [row.strip("| ").split(" | ") for row in found[1].strip().splitlines()[2:]]
    return {title: names.split(", ") for title, names in rows}


def test_a_failing_scenario_that_is_not_listed_is_a_problem() -> None:
    assert find_problems({"ping": [BAD]}, NOTHING) == ["ping/answers: It does not."]


def test_a_warning_that_is_not_listed_is_a_problem() -> None:
    assert find_problems({"ping": [GOOD, Check("slow", "WARNING", "Too slow.")]}, NOTHING)


@pytest.mark.parametrize("checks", [[], [Check("skipped", "SKIPPED", "")]])
def test_a_scenario_that_checks_nothing_does_not_pass(checks: list[Check]) -> None:
    results = {"ping": checks}
    assert find_problems(results, NOTHING) == ["ping checked nothing."]
    assert passing(results, NOTHING) == []


def test_a_listed_scenario_is_neither_a_problem_nor_counted_as_passing() -> None:
    for checks in ([GOOD], [BAD]):
        results = {"calls-a-tool": checks}
        assert find_problems(results, TOOL) == []
        assert passing(results, TOOL) == []


def test_one_listed_check_leaves_the_rest_of_its_scenario_to_pass() -> None:
    results: Results = {"stateless": [GOOD, Check("sessions", "FAILURE", "None.")]}
    assert find_problems(results, ONE_CHECK) == []
    assert passing(results, ONE_CHECK) == ["stateless"]


def test_another_check_of_the_same_scenario_is_not_covered() -> None:
    assert find_problems({"stateless": [BAD]}, ONE_CHECK)


def test_a_listed_scenario_that_the_suite_does_not_know_is_a_mistake() -> None:
    found = find_list_mistakes(TOOL, [{"ping": [GOOD]}], ["ping"], "test_tool")
    assert found == ["calls-a-tool is listed, but the suite does not know it."]


def test_a_listed_check_that_nothing_reported_is_a_mistake() -> None:
    assert find_list_mistakes(ONE_CHECK, [{"stateless": [GOOD]}], ["stateless"], "")


def test_a_listed_fixture_that_the_suite_does_not_have_is_a_mistake() -> None:
    found = find_list_mistakes(TOOL, [], ["calls-a-tool"], "another tool")
    assert found == ["test_tool is listed as a fixture, but the suite has none such."]


def test_a_passing_scenario_listed_as_not_offered_is_a_mistake() -> None:
    passed: Results = {"stateless": [Check("sessions", "SUCCESS", "")]}
    found = find_list_mistakes(ONE_CHECK, [passed], ["stateless"], "")
    assert found == ["stateless/sessions is listed as not offered, but it passes."]


def test_the_page_lists_no_exception_as_passing() -> None:
    listed = committed_list()
    assert [n for names in names_on_the_page().values() for n in names if listed.covers(n)] == []


def test_the_page_has_its_rows_in_the_form_that_the_run_compares() -> None:
    runs = {title: {name: [GOOD] for name in names} for title, names in names_on_the_page().items()}
    assert table(runs, committed_list()) in PAGE


def test_every_listed_fixture_or_reason_is_shown() -> None:
    listed = committed_list()
    assert all(listed.fixtures.values())
    assert all(reason.endswith(".") for reason in listed.not_offered.values())
