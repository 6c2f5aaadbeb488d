"""Tables of error codes, one per source."""

from layer_mcp.errors import ERROR_CODES, SOURCES, Source

from .tables import table

# Short names that fit a column.
SHORT: dict[Source, str] = {
    "call": "the call",
    "price": "price and approval",
    "journal": "starting the run",
    "file": "local files",
    "network": "the connection",
    "layer": "Layer's response",
    "output": "saving",
    "run": "a failed run",
    "terminal": "a command",
    "server": "the server",
}


def error_tables() -> str:
    """Return a heading and a table for each source, with a row per code."""
    return "\n\n".join(_section(source) for source in SOURCES)


def _section(source: Source) -> str:
    codes = [code for code, row in ERROR_CODES.items() if row.source == source]
    head = ("code", "meaning", "next step", "source")
    return f"## {SOURCES[source]}\n\n{table(head, [_cells(code) for code in codes])}"


def _cells(code: str) -> tuple[str, str, str, str]:
    row = ERROR_CODES[code]
    sources = ", ".join(SHORT[source] for source in (row.source, *row.also))
    status = f" (HTTP {row.status})" if row.status else ""
    return f"`{code}`", row.meaning, row.next_step, sources + status
