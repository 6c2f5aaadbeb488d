"""Start-up: from spawning the server to the answer of tools/list, beside an empty SDK server."""

import statistics
from dataclasses import dataclass

from .children import script_command, server_command
from .stdio_driver import list_tools


@dataclass(frozen=True)
class Startup:
    """Medians over interleaved starts.

    The ratio is the median of the rounds' own ratios, not the ratio of the medians: both starts of
    a round meet the machine in about the same state, so its slow phases cancel out.
    """

    samples: int
    layer_mcp_median_ms: float
    empty_server_median_ms: float
    median_ratio: float


def measure_startup(samples: int) -> Startup:
    """Start both servers in turn, after one uncounted start each."""
    commands = {"ours": server_command(), "empty": script_command("empty_server.py")}
    elapsed_ms: dict[str, list[float]] = {name: [] for name in commands}
    for round_number in range(samples + 1):
        # Each server goes first in every other round, so that neither profits from its place.
        for name in sorted(commands, reverse=round_number % 2 == 1):
            listing = list_tools(commands[name])
            if round_number > 0:
                elapsed_ms[name].append(listing.elapsed_ms)
    rounds = zip(elapsed_ms["ours"], elapsed_ms["empty"], strict=True)
    return Startup(
        samples=samples,
        layer_mcp_median_ms=statistics.median(elapsed_ms["ours"]),
        empty_server_median_ms=statistics.median(elapsed_ms["empty"]),
        median_ratio=statistics.median(ours / empty for ours, empty in rounds),
    )
