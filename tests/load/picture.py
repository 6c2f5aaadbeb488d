"""The proof as a timeline: answered calls and errors in each second, and the failures."""
# pyright: reportUnknownMemberType=false

from collections import Counter
from pathlib import Path

from .agents import OK
from .proof import Proof

OK_COLOR, ERROR_COLOR, EVENT_COLOR = "#4f46e5", "#c2410c", "#0f172a"
EVENT_SHADE, QUIET_COLOR = "#cbd5e1", "#64748b"
SIZE_INCHES = (9.0, 3.4)
DOTS_PER_INCH = 200


def save_timeline(proof: Proof, path: Path) -> None:
    """Draw calls a second over the whole time."""
    # Every worker of the tests imports this module, and only one of them draws.
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, facecolor="white", layout="constrained")
    axes = figure.subplots()
    answered, failed = Counter[int](), Counter[int]()
    for one in proof.notes.attempts:
        counter = answered if one.outcome == OK else failed
        counter[int(one.ended_at - proof.started_at)] += 1
    seconds = range(int(proof.duration_seconds) + 1)
    highest = max(answered[one] + failed[one] for one in seconds)
    middles = [second + 0.5 for second in seconds]
    axes.bar(middles, [answered[one] for one in seconds], 0.9, color=OK_COLOR, label="answered")
    axes.bar(
        middles,
        [failed[one] for one in seconds],
        0.9,
        bottom=[answered[one] for one in seconds],
        color=ERROR_COLOR,
        label="errors",
    )
    for number, event in enumerate(proof.events):
        label = None if number else "something isn't running"
        axes.axvspan(event.began, event.ended, color=EVENT_SHADE, zorder=0, label=label)
        height = highest * (1.16 - 0.07 * (number % 2))
        axes.text(event.began, height, event.name, color=EVENT_COLOR, fontsize=9)
    axes.set(xlim=(0, len(seconds)), ylim=(0, highest * 1.28))
    axes.set_xlabel("seconds", color=QUIET_COLOR)
    axes.set_ylabel("calls per second", color=QUIET_COLOR)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=QUIET_COLOR)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=3, frameon=False, fontsize=9)
    figure.savefig(path, dpi=DOTS_PER_INCH)
