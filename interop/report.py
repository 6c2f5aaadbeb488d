"""The results: results.json, and the table in docs/clients.md."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from .environments import FOLDER, ROOT
from .job import WORKED
from .programs import EXTRA_STEPS, JOB_STEPS

RESULTS = FOLDER / "results.json"
PAGE = ROOT / "docs" / "clients.md"
TABLE = re.compile(r"(?<=<!-- interop -->\n).*?(?=<!-- /interop -->)", re.DOTALL)
HEAD = "| client | version | protocol | transports | what worked |\n|---|---|---|---|---|\n"
CHECKS = {
    "installed": "listed after install",
    "instructions": "instructions whole",
    "arguments": "every argument",
    "task": "tasks",
    "picture": "the picture",
    "app_info": "pages of tools",
    "short_answers": "no image as text",
    "load": "500 concurrent calls",
    "strict": "portable schemas",
    "schema_anthropic": "schemas for Anthropic",
    "schema_gemini": "schemas for Gemini",
    "schema_openai_strict": "schemas for OpenAI strict",
    "uninstalled": "removed by uninstall",
    "offline": "no other machine asked",
}

# If the server takes over 3 s to start, it uses the older protocol.
CHOOSING_BY_SPEED = ("Claude Code",)

Report = dict[str, Any]


def written(reports: Iterable[Report]) -> str:
    """Return the text of results.json, which is always the same for the same results."""
    ordered = sorted(reports, key=_order)
    return json.dumps(ordered, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def committed() -> str:
    """Return the committed text of results.json, or an empty string."""
    return RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""


def differ(reports: Iterable[Report]) -> bool:
    """Return whether the reports differ from the committed ones, ignoring the machine's speed."""
    was: list[Report] = json.loads(committed() or "[]")
    return written(map(_at_any_speed, reports)) != written(map(_at_any_speed, was))


def _at_any_speed(report: Report) -> Report:
    return report | {"protocol": ""} if report["client"] in CHOOSING_BY_SPEED else report


def table_in(page: str) -> str:
    """Return the table between the markers.

    Raises:
        ValueError: the markers are missing.
    """
    found = TABLE.search(page)
    if found is None:
        raise ValueError("docs/clients.md has no <!-- interop --> … <!-- /interop -->.")
    return found[0]


def with_table(page: str, reports: Sequence[Report]) -> str:
    """Return the page with the table of these reports."""
    table = table_of(reports)
    return TABLE.sub(lambda _: table, page)


def table_of(reports: Sequence[Report]) -> str:
    """Return a row for each client, protocol, and result, with all transports together."""
    rows: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for report in sorted(reports, key=_order):
        row = (report["client"], report["version"], report["protocol"], _in_words(report))
        rows[row].append(report["transport"])
    return HEAD + "".join(
        f"| {client} | {version} | {protocol} | {', '.join(transports)} | {what} |\n"
        for (client, version, protocol, what), transports in rows.items()
    )


def _order(report: Report) -> tuple[str, str, str, bool]:
    name = report["client"].lower()
    return name, report["version"], report["protocol"], report["transport"] == "http"


def _in_words(report: Report) -> str:
    steps: dict[str, str] = report["steps"]
    worked = {name for name, how in steps.items() if how == WORKED}
    job = ["the job"] if worked.issuperset(JOB_STEPS) else []
    yes = f"price approved in {'a form' if report['confirmation'] == 'form' else 'the chat'}"
    extras = [name for name in EXTRA_STEPS if name in worked]
    return ", ".join([*job, yes, *extras, *(CHECKS[name] for name in CHECKS if name in worked)])
