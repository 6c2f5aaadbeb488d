"""What the runs came to: results.json, and the table of docs/clients.md."""

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
    "load": "500 calls at once",
    "strict": "portable schemas",
    "schema_anthropic": "schemas for Anthropic",
    "schema_gemini": "schemas for Gemini",
    "schema_openai_strict": "schemas for OpenAI strict",
    "uninstalled": "gone after uninstall",
    "offline": "no other machine asked",
}

Report = dict[str, Any]


def written(reports: Iterable[Report]) -> str:
    """The reports as the text of results.json: the same for the same results."""
    ordered = sorted(reports, key=_order)
    return json.dumps(ordered, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def committed() -> str:
    """The text of results.json, empty when there is none."""
    return RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""


def table_in(page: str) -> str:
    """The table between the markers.

    Raises:
        ValueError: the markers are missing.
    """
    found = TABLE.search(page)
    if found is None:
        raise ValueError("docs/clients.md has no <!-- interop --> … <!-- /interop -->.")
    return found[0]


def with_table(page: str, reports: Sequence[Report]) -> str:
    """The page with the table of these reports."""
    table = table_of(reports)
    return TABLE.sub(lambda _: table, page)


def table_of(reports: Sequence[Report]) -> str:
    """A row for each client, protocol and what worked there; its transports together."""
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
    yes = f"the price agreed in {'a form' if report['confirmation'] == 'form' else 'the chat'}"
    extras = [name for name in EXTRA_STEPS if name in worked]
    return ", ".join([*job, yes, *extras, *(CHECKS[name] for name in CHECKS if name in worked)])
