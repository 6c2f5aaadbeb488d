"""The results as a table for people and as JSON for comparison."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, cast

from .row import Row
from .rows import Results

HEADINGS = ("measure", "ours", "reference", "", "compared", "aim", "met")
MET_WORDS = {True: "yes", False: "no", None: ""}
RIGHT_ALIGNED = (1, 2, 4)


def table(rows: Sequence[Row]) -> str:
    """The rows in aligned columns."""
    lines = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    texts = [_aligned(line, widths) for line in lines]
    return "\n".join([texts[0], "-" * len(texts[0]), *texts[1:]])


def results_json(results: Results) -> str:
    """The numbers and what they were measured with."""
    content = {
        "date": datetime.now(UTC).date().isoformat(),
        **{f"{name}_version": value for name, value in versions().items()},
        "cpu_count": os.cpu_count(),
        **_rounded(asdict(results)),
    }
    return json.dumps(content, indent=2) + "\n"


def versions() -> dict[str, str]:
    """What the numbers depend on."""
    return {
        "layer_mcp": version("layer-mcp"),
        "mcp": version("mcp"),
        "python": platform.python_version(),
    }


def _cells(row: Row) -> tuple[str, ...]:
    reference = "" if row.reference is None else row.shown(row.reference)
    return (
        row.measure,
        row.shown(row.ours),
        reference,
        row.reference_name,
        row.compared,
        row.aim,
        MET_WORDS[row.is_met],
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if column in RIGHT_ALIGNED else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        items = cast(dict[str, Any], value).items()
        return {name: _rounded(item) for name, item in items}
    return round(value, 3) if isinstance(value, float) else value
