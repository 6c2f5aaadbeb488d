"""Run every client, or those that are named: `python -m interop [--write] [FOLDER ...]`.

Ends with 1 when a step fails, when a run was submitted otherwise than once, or when the results are
not those that are committed. `--write` commits them to results.json and the README instead.
"""

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .clients import CLIENTS, Client
from .environments import InteropError, installer
from .programs import Result, results_of
from .report import README, RESULTS, committed, with_table, written

AT_ONCE = 3


def main() -> int:
    """Run, print, compare."""
    options = _parser().parse_args()
    clients = [
        client for client in CLIENTS if not options.folder or client.folder in options.folder
    ]
    try:
        installer()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = [result for each in pool.map(_told, clients) for result in each]
    except InteropError as error:
        print(f"interop: {error}", file=sys.stderr)
        return 1
    problems = [problem for result in results for problem in result.problems]
    reports = [result.report for result in results if result.report]
    if options.write and not problems:
        _write(reports)
    elif not options.folder and written(reports) != committed():
        problems.append("The results differ from interop/results.json. See it with --write.")
    for problem in problems:
        print(f"interop: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _told(client: Client) -> list[Result]:
    results = results_of(client)
    for result in results:
        if result.report:
            print(_line(result.report), flush=True)
    return results


def _line(report: dict[str, Any]) -> str:
    words = [f"{name} {how}" for name, how in report["steps"].items()]
    names = [report[name] for name in ("client", "version", "protocol", "transport")]
    return f"{' '.join(names)}: {', '.join(words)}"


def _write(reports: list[dict[str, Any]]) -> None:
    """Put these results in the place of those that the same clients had before."""
    names = {report["client"] for report in reports}
    before = [report for report in json.loads(committed() or "[]") if report["client"] not in names]
    RESULTS.write_text(written([*before, *reports]), encoding="utf-8")
    readme = README.read_text(encoding="utf-8")
    README.write_text(with_table(readme, [*before, *reports]), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m interop", description="Try other clients.")
    parser.add_argument("--write", action="store_true", help="write results.json and the README")
    parser.add_argument("folder", nargs="*", choices=[client.folder for client in CLIENTS])
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
