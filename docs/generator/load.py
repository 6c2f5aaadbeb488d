"""The figures of the load proof, which `make load` writes."""

import json
from pathlib import Path

from .tables import table

FIGURES = Path(__file__).parents[1] / "load.json"


def load_figures() -> str:
    """Return what the last proof counted and measured."""
    facts = json.loads(FIGURES.read_text(encoding="utf-8"))
    errors = ", ".join(f"{count} x {kind}" for kind, count in facts["errors"].items())
    times = (
        f"`{tool}` {took['p50']:,} / {took['p99']:,} ms"
        for tool, took in facts["milliseconds"].items()
    )
    rows = [
        ("agents, and calls that were answered", f"{facts['agents']}, {facts['answered_calls']:,}"),
        ("runs, and paid requests that reached the sandbox", _runs(facts)),
        ("runs lost, paid twice, or seen by another agent", f"{len(facts['violations'])}"),
        ("errors, each repeated or explained", errors),
        ("median and 99th percentile, with everything on one machine", ", ".join(times)),
    ]
    return table(("what", "result"), rows)


def _runs(facts: dict[str, int]) -> str:
    known = f"{facts['runs']:,}, {facts['paid_requests']:,}"
    unknown = facts["unknown_outcomes"]
    return f"{known}; {unknown} with an unknown outcome, not sent again" if unknown else known
