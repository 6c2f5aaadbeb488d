"""Checks of the folders and the journal."""

import os
from pathlib import Path

from ..errors import LayerError
from ..files.folders import PrivateFolders
from ..files.paths import Folders, find_write_problem, input_folders, output_folder, state_folder
from ..runs.journal.accounts import address_of
from ..runs.journal.databases.trouble import Trouble, fix_for
from .database import UNKNOWN_FIX, check_database
from .journal_health import Health, journal_health
from .types import Finding, Setup, fail, ok, warn

NO_HOME = "there is no home folder; set LAYER_STATE_DIR"
STATE_FOLDER_FIX = "Set LAYER_STATE_DIR to a writable folder."


def check_output_folder(setup: Setup) -> Finding:
    """Check that outputs can be saved."""
    fix = "Set LAYER_OUTPUT_DIR to a writable folder."
    try:
        folder = output_folder(setup.settings)
    except LayerError as error:
        return fail(error.message, fix)
    problem = find_write_problem(folder, Folders.pin(setup.settings).private())
    if problem is not None:
        return fail(f"{folder}: {problem}", fix)
    if folder.exists():
        return ok(str(folder))
    fact = f"{folder}, created when something is saved"
    if setup.settings.output_dir is None:
        return ok(fact)
    return warn(fact, "If you meant another folder, change LAYER_OUTPUT_DIR.")


def check_input_folders(setup: Setup) -> Finding:
    """Check that the folders with files to upload can be read."""
    try:
        folders = input_folders(setup.settings)
    except LayerError as error:
        return fail(error.message, "Set LAYER_INPUT_DIRS to readable folders.")
    # The folders from the settings come first. Others, such as the output folder, may be missing.
    set_count = len(setup.settings.input_dirs)
    expected = [*folders[:set_count], *filter(Path.is_dir, folders[set_count:])]
    problems = {folder: _find_read_problem(folder) for folder in expected}
    facts = [f"{folder}: {problem}" for folder, problem in problems.items() if problem]
    if facts:
        return fail("; ".join(facts), "Create the folder, or fix LAYER_INPUT_DIRS.")
    return ok(", ".join(map(str, folders)))


def check_journal(setup: Setup) -> Finding:
    """Check that runs can be recorded, and that every recorded run has a known outcome."""
    if setup.settings.database_url is not None:
        return check_database(setup, setup.settings.database_url)
    try:
        folder = state_folder(setup.settings)
    except RuntimeError:
        return _fail_or_warn(setup, NO_HOME, STATE_FOLDER_FIX)
    problem = find_write_problem(folder, private=PrivateFolders())
    if problem is not None:
        return _fail_or_warn(setup, f"{folder}: {problem}", STATE_FOLDER_FIX)
    return _check_journal_file(setup, folder)


def _check_journal_file(setup: Setup, folder: Path) -> Finding:
    health = journal_health(folder, address_of(setup.settings))
    if health is None:
        return ok(f"{folder}, created with the first run")
    if health.trouble is not None:
        fact, fix = _describe_trouble(health.trouble, health, folder)
        return _fail_or_warn(setup, fact, fix)
    if health.unknown:
        runs = "run has" if health.unknown == 1 else "runs have"
        return warn(
            f"{_name_journal(health)}: {health.unknown} {runs} an unknown outcome",
            UNKNOWN_FIX,
        )
    used = f"{health.servers} server{' uses' if health.servers == 1 else 's use'} it now"
    state = "healthy" if health.is_whole else "usable; too large to check completely"
    return ok(f"{_name_journal(health)}: {state}, {used}")


def _fail_or_warn(setup: Setup, fact: str, fix: str) -> Finding:
    # Paid calls follow the same rule: a daily limit can't be enforced without a journal.
    settings = setup.settings
    is_needed = settings.journal == "required" or settings.max_spend_per_day is not None
    return fail(fact, fix) if is_needed else warn(fact, fix)


def _describe_trouble(trouble: Trouble, health: Health, folder: Path) -> tuple[str, str]:
    """Return the fact and the fix for a journal that can't be used."""
    facts: dict[Trouble, str] = {
        "held": "another program has it open",
        "newer": f"another version wrote it ({health.reason})",
        "read_only": f"it can't be written ({health.reason})",
        "damaged": f"it's damaged ({health.reason})",
    }
    return f"{_name_journal(health)}: {facts[trouble]}", fix_for(trouble, folder)


def _name_journal(health: Health) -> str:
    return f"{health.file} (belongs to {health.owner})" if health.owner else str(health.file)


def _find_read_problem(folder: Path) -> str | None:
    try:
        with os.scandir(folder):
            return None
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or "it isn't a valid path"
