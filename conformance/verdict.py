"""Decide what counts as passing: everything except what the committed list names."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .suite import Check, Results, Status

FAULTY = ("FAILURE", "WARNING")
LIST = Path(__file__).with_name("needs_fixture_tools.json")


@dataclass(frozen=True)
class Exceptions:
    """The committed list. Its keys are a scenario, or one check of it: "scenario/check".

    `fixtures` names the suite's own tool, prompt, or resource that each one needs. Some of them
    pass without it, which says nothing. `not_offered` says why another one can't pass.
    """

    fixtures: dict[str, str]
    not_offered: dict[str, str]

    def covers(self, scenario: str, check: str = "") -> bool:
        """Return whether a scenario is listed, or one check of it."""
        keys = {scenario, f"{scenario}/{check}"}
        return not keys.isdisjoint(self.fixtures.keys() | self.not_offered.keys())


def committed_list() -> Exceptions:
    """Read the list next to this file."""
    return Exceptions(**json.loads(LIST.read_text(encoding="utf-8")))


def passing(results: Results, exceptions: Exceptions) -> list[str]:
    """Return the scenarios that pass and aren't listed, although single checks of them may be."""
    return [
        name
        for name, checks in results.items()
        if not exceptions.covers(name)
        and not _faults(name, checks, exceptions)
        and any(check.status == "SUCCESS" for check in checks)
    ]


def table(runs: Mapping[str, Results], exceptions: Exceptions) -> str:
    """Return the table of docs/clients.md, which shows what passes."""
    rows = "".join(
        f"| {title} | {', '.join(sorted(passing(results, exceptions)))} |\n"
        for title, results in runs.items()
    )
    return "| scenarios of | that pass |\n|---|---|\n" + rows


def find_problems(results: Results, exceptions: Exceptions) -> list[str]:
    """Return everything that neither passes nor is listed."""
    return [
        fault
        for name, checks in results.items()
        if not exceptions.covers(name)
        for fault in _faults(name, checks, exceptions)
    ]


def find_list_mistakes(
    exceptions: Exceptions, results: Iterable[Results], known: Collection[str], program: str
) -> list[str]:
    """Return the mistakes in the list, after everything was run.

    `known` are the suite's scenarios. `program` is its code, which has to know each fixture.
    """
    statuses: dict[str, set[Status]] = defaultdict(set)
    for run in results:
        for name, checks in run.items():
            for check in checks:
                statuses[name].add(check.status)
                statuses[f"{name}/{check.name}"].add(check.status)
    keys = [*exceptions.fixtures, *exceptions.not_offered]
    unknown = [key for key in keys if key not in known and key not in statuses]
    strange = [name for name in exceptions.fixtures.values() if name not in program]
    needless = [key for key in exceptions.not_offered if statuses[key] == {"SUCCESS"}]
    return [
        *(f"{key} is listed, but the suite does not know it." for key in unknown),
        *(f"{name} is listed as a fixture, but the suite has none such." for name in strange),
        *(f"{key} is listed as not offered, but it passes." for key in needless),
    ]


def _faults(scenario: str, checks: list[Check], exceptions: Exceptions) -> list[str]:
    faults = [
        f"{scenario}/{check.name}: {check.message}"
        for check in checks
        if check.status in FAULTY and not exceptions.covers(scenario, check.name)
    ]
    listed = any(exceptions.covers(scenario, check.name) for check in checks)
    if not listed and not any(check.status in {"SUCCESS", *FAULTY} for check in checks):
        faults.append(f"{scenario} checked nothing.")
    return faults
