"""Run every client, or the named ones: `python -m interop [--install | --write] [FOLDER ...]`.

The exit code is 1 if a step fails, if a run isn't submitted exactly once, or if the results differ
from the committed ones. With `--write`, results.json and docs/clients.md are updated instead. With
`--install`, the clients are only installed.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .clients import CLIENTS
from .environments import InteropError, prepare
from .job import WORKED
from .page_samples import problems_of_samples
from .programs import Attempt, Result, attempts_of, run
from .report import PAGE, RESULTS, differ, with_table, written

AT_ONCE = 3


def main() -> int:
    """Run the clients, print the results, and compare them."""
    parser = _parser()
    options = parser.parse_args()
    folders = {client.folder for client in CLIENTS}
    if (options.write and options.folder) or not folders.issuperset(options.folder):
        parser.error(f"name some of {', '.join(sorted(folders))}, or --write and none")
    clients = [c for c in CLIENTS if not options.folder or c.folder in options.folder]
    try:
        prepare(clients)
        if options.install:
            return 0
        attempts = [attempt for client in clients for attempt in attempts_of(client)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(_told, attempts))
    except InteropError as error:
        print(f"interop: {error}", file=sys.stderr)
        return 1
    problems = [problem for result in results for problem in result.problems]
    problems += problems_of_samples({client.folder for client in clients})
    reports = [result.report for result in results if result.report]
    if options.write and not problems:
        _write(reports)
    elif not options.folder and differ(reports):
        problems.append("The results differ from interop/results.json. See it with --write.")
    for problem in problems:
        print(f"interop: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _told(attempt: Attempt) -> Result:
    result = run(attempt)
    if result.report:
        print(_line(result.report), flush=True)
    return result


def _line(report: dict[str, Any]) -> str:
    steps: dict[str, str] = report["steps"]
    others = [f"{name} {how}" for name, how in steps.items() if how != WORKED]
    names = [report[name] for name in ("client", "version", "protocol", "transport")]
    return f"{' '.join(names)}: {len(steps) - len(others)} steps worked" + ", ".join(["", *others])


def _write(reports: list[dict[str, Any]]) -> None:
    RESULTS.write_text(written(reports), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_table(page, reports), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m interop", description="Try other clients.")
    parser.add_argument(
        "--write", action="store_true", help="write results.json and docs/clients.md"
    )
    parser.add_argument("--install", action="store_true", help="only install the clients")
    parser.add_argument("folder", nargs="*", metavar="FOLDER", help="a client below interop/")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
