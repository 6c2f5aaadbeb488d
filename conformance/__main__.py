"""python -m conformance: run the suite, say what passes, fail on what is not listed.

It fails too when docs/clients.md says otherwise, or when the list names what the suite does not
know.
"""

import sys
from pathlib import Path

from .servers import ConformanceError, layer_server, tasks_server
from .suite import PROGRAM, Results, known_scenarios, required, single
from .verdict import LIST, committed_list, mistakes, problems, table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "clients.md"
REVISIONS = ("2025-11-25", "2026-07-28")
TASKS = "tasks-"


def main() -> int:
    """Print each run and return the exit code.

    Raises:
        ConformanceError: the suite or a server did not run.
    """
    known = known_scenarios()
    runs = all_runs([name for name in known if name.startswith(TASKS)])
    exceptions = committed_list()
    wrong = mistakes(exceptions, runs.values(), known, PROGRAM.read_text(encoding="utf-8"))
    for title, results in runs.items():
        print(f"{title}: {len(results)} scenarios ran.")
        wrong += [f"{title}: {problem}" for problem in problems(results, exceptions)]
    passed = table(runs, exceptions)
    print(f"{passed}The others are in {LIST.relative_to(ROOT)}.")
    if passed not in PAGE.read_text(encoding="utf-8"):
        wrong.append(f"{PAGE.relative_to(ROOT)} has another table.")
    for problem in wrong:
        print(problem, file=sys.stderr)
    return 1 if wrong else 0


def all_runs(tasks: list[str]) -> dict[str, Results]:
    """The required scenarios of each revision against the server, and those of tasks."""
    with layer_server() as url:
        runs = {revision: _without_tasks(required(url, revision)) for revision in REVISIONS}
    with tasks_server() as url:
        return runs | {"tasks extension": single(url, tasks)}


def _without_tasks(results: Results) -> Results:
    """They want tools of their own, which another server has."""
    return {name: checks for name, checks in results.items() if not name.startswith(TASKS)}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConformanceError as error:
        sys.exit(f"conformance: {error}")
