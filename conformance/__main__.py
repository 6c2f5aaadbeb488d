"""python -m conformance: run the suite, print what passes, and fail on what isn't listed.

It also fails when docs/clients.md has another table, or when the list names what the suite doesn't
know.
"""

import sys
from pathlib import Path

from .suite import (
    PROGRAM,
    ConformanceError,
    Results,
    known_scenarios,
    layer_server,
    run_required,
    run_scenarios,
    tasks_server,
)
from .verdict import LIST, committed_list, find_list_mistakes, find_problems, table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "clients.md"
REVISIONS = ("2025-11-25", "2026-07-28")
TASKS = "tasks-"


def main() -> int:
    """Print each run and return the exit code.

    Raises:
        ConformanceError: The suite or a server didn't run.
    """
    known = known_scenarios()
    runs = run_all([name for name in known if name.startswith(TASKS)])
    exceptions = committed_list()
    program = PROGRAM.read_text(encoding="utf-8")
    problems = find_list_mistakes(exceptions, runs.values(), known, program)
    for title, results in runs.items():
        print(f"{title}: {len(results)} scenarios ran.")
        problems += [f"{title}: {problem}" for problem in find_problems(results, exceptions)]
    passed = table(runs, exceptions)
    print(f"{passed}The others are in {LIST.relative_to(ROOT)}.")
    if passed not in PAGE.read_text(encoding="utf-8"):
        problems.append(f"{PAGE.relative_to(ROOT)} has another table.")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def run_all(task_scenarios: list[str]) -> dict[str, Results]:
    """Run what each revision requires against the server, and the scenarios of tasks."""
    with layer_server() as url:
        runs = {revision: _without_tasks(run_required(url, revision)) for revision in REVISIONS}
    with tasks_server() as url:
        return runs | {"tasks extension": run_scenarios(url, task_scenarios)}


def _without_tasks(results: Results) -> Results:
    # They need the suite's own tools, so another server runs them.
    return {name: checks for name, checks in results.items() if not name.startswith(TASKS)}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConformanceError as error:
        sys.exit(f"conformance: {error}")
