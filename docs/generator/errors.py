"""The tables of error codes: one for each place that they come from."""

from layer_mcp.error_codes import ERROR_CODES, SOURCES, ErrorCode, Source

from .tables import table

# The same in a column, where it has to be short.
SHORT: dict[Source, str] = {
    "call": "the call",
    "price": "price and consent",
    "journal": "sending",
    "file": "a local file",
    "network": "the way to Layer",
    "layer": "Layer's answer",
    "output": "outputs",
    "run": "a failed run",
    "terminal": "a command",
    "server": "the server",
}


def error_tables() -> str:
    """Return a heading and a table for each source, with a row for each code."""
    return "\n\n".join(_section(source) for source in SOURCES)


def _section(source: Source) -> str:
    codes = [code for code in ERROR_CODES if code.source == source]
    head = ("code", "what it means", "what to do next", "comes from")
    return f"## {SOURCES[source]}\n\n{table(head, [_row(code) for code in codes])}"


def _row(code: ErrorCode) -> tuple[str, str, str, str]:
    places = ", ".join(SHORT[place] for place in (code.source, *code.also))
    status = f" (HTTP {code.status})" if code.status else ""
    return f"`{code.code}`", code.meaning, code.next_step, places + status
