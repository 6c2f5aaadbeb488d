"""Write the manifest as CSV for spreadsheets, JSON for programs, or Markdown for people."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ...text.plain_text import UNSAFE, one_line
from ...version import __version__
from ..views import describe_size, iso_time
from .types import MadeFile, ManifestTotals

FormatName = Literal["csv", "json", "markdown"]

COLUMNS = (
    "path",
    "state",
    "content_type",
    "declared_type",
    "size_bytes",
    "sha256",
    "content_credentials",
    "kind",
    "model_id",
    "workflow_id",
    "prompt",
    "seed",
    "references",
    "asked_at",
    "completed_at",
    "run_price_creative_units",
    "run_price_is",
    "run_id",
    "number",
    "workspace_id",
    "simulated",
    "facts",
)
# A spreadsheet would run the text as a formula (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MARKDOWN_COLUMNS = ("file", "state", "type", "size", "model", "prompt", "seed", "CU", "made")
# Within a word, an underscore isn't markup (CommonMark 6.2).
MARKUP = re.compile(r"[\\`*\[\]<>|~$&]|(?<![^\W_])_|_(?![^\W_])")
MAX_CELL_LENGTH = 100


@dataclass(frozen=True)
class ManifestFormat:
    """A manifest format, which writes any number of rows between `head` and `tail`."""

    head: Callable[[ManifestTotals], str]
    row: Callable[[MadeFile], str]
    separator: str = ""
    tail: str = ""


def _csv_line(cells: list[object]) -> str:
    line = io.StringIO()
    # Lines end as RFC 4180 says.
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()


def _csv_row(made: MadeFile) -> str:
    values = made.as_json()
    return _csv_line([_csv_cell(values.get(name)) for name in COLUMNS])


def _csv_cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, separators=(",", ":"))
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _json_head(totals: ManifestTotals) -> str:
    content: dict[str, Any] = {
        "made_with": f"layer-mcp {__version__}",
        "generated_at": _now(),
        "totals": totals.as_json(),
        "files": [],
    }
    return json.dumps(content, indent=2).removesuffix("]\n}") + "\n"


def _json_row(made: MadeFile) -> str:
    return "    " + _safe_json(made.as_json())


def _safe_json(content: Mapping[str, Any]) -> str:
    """Return JSON on one line, escaping characters that could control a terminal."""
    text = json.dumps(content, ensure_ascii=False)
    return UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _markdown_head(totals: ManifestTotals) -> str:
    used = [*sorted(totals.models), *sorted(totals.workflows)]
    return (
        "# Files made with Layer\n\n"
        f"{totals.describe()}\n\n"
        f"Models and workflows: {', '.join(map(_markdown_cell, used)) or 'none'}.\n\n"
        f"Written by layer-mcp {__version__} at {_now()}.\n\n"
        f"{_markdown_line(MARKDOWN_COLUMNS)}{_markdown_line(['---'] * len(MARKDOWN_COLUMNS))}"
    )


def _markdown_row(made: MadeFile) -> str:
    values = made.as_json()
    price = made.run_price_creative_units
    about = "about " if made.run_price_is == "estimated" else ""
    cells = (
        values.get("path") or f"output {made.number} of {made.run_id}",
        f"{made.state.replace('_', ' ')}{' (simulated)' if made.is_simulated else ''}",
        " ".join(filter(None, (made.content_type, _dimensions(made.facts)))),
        None if made.size_bytes is None else describe_size(made.size_bytes),
        made.model_id or made.workflow_id,
        one_line(made.prompt or "", MAX_CELL_LENGTH),
        made.seed,
        None if price is None else f"{about}{price:g}",
        values.get("completed_at") or values.get("asked_at"),
    )
    return _markdown_line([_markdown_cell(cell) for cell in cells])


def _dimensions(facts: Mapping[str, Any]) -> str | None:
    width, height = facts.get("width"), facts.get("height")
    return f"{width}x{height}" if width and height else None


def _markdown_line(cells: "list[str] | tuple[str, ...]") -> str:
    return f"| {' | '.join(cells)} |\n"


def _markdown_cell(value: object) -> str:
    """Return text with markup and cell separators escaped."""
    return MARKUP.sub(r"\\\g<0>", one_line("" if value is None else str(value)))


def _now() -> str:
    return iso_time(datetime.now(UTC))


FORMATS: Mapping[FormatName, ManifestFormat] = {
    "csv": ManifestFormat(lambda _totals: _csv_line([*COLUMNS]), _csv_row),
    "json": ManifestFormat(_json_head, _json_row, ",\n", "\n  ]\n}\n"),
    "markdown": ManifestFormat(_markdown_head, _markdown_row),
}
