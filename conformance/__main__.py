"""python -m conformance: run the suite, print what passes, and fail on what isn't listed.

It also fails if the table in docs/clients.md is out of date, or if the list names anything that the
suite doesn't have.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from .suite import (
    PROGRAM,
    ConformanceError,
    Results,
    Server,
    authenticated_server,
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
WITH_A_TOKEN = " with a token"


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
    # With a token, the same has to pass, or it's a problem.
    shown = {title: results for title, results in runs.items() if WITH_A_TOKEN not in title}
    passed = table(shown, exceptions)
    print(f"{passed}The others are in {LIST.relative_to(ROOT)}.")
    if passed not in PAGE.read_text(encoding="utf-8"):
        problems.append(f"{PAGE.relative_to(ROOT)} has another table.")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def run_all(task_scenarios: list[str]) -> dict[str, Results]:
    """Run what each revision requires with and without a token, and the scenarios of tasks."""
    with ThreadPoolExecutor() as pool:
        without_token = pool.submit(_run_revisions, layer_server)
        with_token = pool.submit(_run_revisions, authenticated_server, WITH_A_TOKEN)
        runs = without_token.result() | with_token.result()
    with tasks_server() as server:
        return runs | {"tasks extension": run_scenarios(server, task_scenarios)}


def _run_revisions(
    serving: Callable[[], AbstractContextManager[Server]], suffix: str = ""
) -> dict[str, Results]:
    with serving() as server:
        return {
            revision + suffix: _without_tasks(run_required(server, revision))
            for revision in REVISIONS
        }


def _without_tasks(results: Results) -> Results:
    # The suite's own tools are required, so another server runs them.
    return {name: checks for name, checks in results.items() if not name.startswith(TASKS)}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConformanceError as error:
        sys.exit(f"conformance: {error}")
