"""The journal: whether runs can be written down, and what is open in it."""

from collections.abc import Mapping
from pathlib import Path

from ..paths import state_folder
from .check import Check, Subject
from .folder_checks import writing_problem
from .journal_health import Health, Trouble, journal_health
from .setup import Setup

JOURNAL = Subject("journal", "Journal")
FOLDER_FIX = "Set LAYER_STATE_DIR to a folder that can be written."
TROUBLES: Mapping[Trouble, str] = {
    "held": "another program holds it",
    "newer": "it is of another version",
    "read_only": "it cannot be written",
    "damaged": "it is damaged",
}


def journal(setup: Setup) -> Check:
    """Whether the journal can be used; a warning only, where runs may go without."""
    try:
        folder = state_folder(setup.settings)
    except RuntimeError as error:
        return _wrong(setup, str(error), FOLDER_FIX)
    if folder is None:
        return JOURNAL.ok("in memory: a simulated Layer keeps nothing")
    problem = writing_problem(folder)
    if problem is not None:
        return _wrong(setup, f"{folder}: {problem}", FOLDER_FIX)
    found = journal_health(folder, setup.settings.api_url)
    if found is None:
        return JOURNAL.ok(f"{folder}, begun with the first run")
    return _of_health(setup, folder, found)


def _of_health(setup: Setup, folder: Path, found: Health) -> Check:
    if found.trouble is not None:
        what = TROUBLES[found.trouble]
        told = what if found.trouble == "held" else f"{what} ({found.reason})"
        return _wrong(setup, _fact(found, told), _fix(found.trouble, folder))
    if found.unknown:
        runs = "run is" if found.unknown == 1 else "runs are"
        return JOURNAL.warning(
            _fact(found, f"{found.unknown} {runs} of unknown outcome"),
            "Look in Layer (app.layer.ai) before you make them again: they may be charged. "
            "The tool list_runs shows them with status unknown.",
        )
    used = f"{found.servers} server{' uses' if found.servers == 1 else 's use'} it now"
    whole = "healthy" if found.is_whole else "usable; too large to look at all of it"
    return JOURNAL.ok(_fact(found, f"{whole}, {used}"))


def _fact(found: Health, what: str) -> str:
    owned = f" (belongs to {found.owner})" if found.owner else ""
    return f"{found.file}{owned}: {what}"


def _fix(trouble: Trouble, folder: Path) -> str:
    fixes: dict[Trouble, str] = {
        "held": "End the program that has the file open, such as a database viewer or a backup.",
        "newer": "Install the newest layer-mcp, or set LAYER_STATE_DIR to another folder.",
        "read_only": f"Make the file writable. {FOLDER_FIX}",
        "damaged": f"Move {folder} away; the next run begins a new journal, without the old runs.",
    }
    return fixes[trouble]


def _wrong(setup: Setup, fact: str, fix: str) -> Check:
    # The same rule as for paid calls: a limit a day cannot be kept without a journal.
    settings = setup.settings
    if settings.journal == "required" or settings.max_spend_per_day is not None:
        return JOURNAL.failed(fact, fix)
    return JOURNAL.warning(fact, fix)
