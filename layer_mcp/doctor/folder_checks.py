"""The folders of the settings: outputs can be written, inputs can be read."""

import os
import tempfile
from pathlib import Path

from ..errors import LayerError
from ..paths import input_folders, output_folder
from .check import Check, Subject
from .setup import Setup

OUTPUT_FOLDER = Subject("output_folder", "Output folder")
INPUT_FOLDERS = Subject("input_folders", "Input folders")


def output(setup: Setup) -> Check:
    """Whether outputs can be saved."""
    fix = "Set LAYER_OUTPUT_DIR to a folder that can be written."
    try:
        folder = output_folder(setup.settings)
    except LayerError as error:
        return OUTPUT_FOLDER.failed(error.message, fix)
    problem = writing_problem(folder)
    if problem is not None:
        return OUTPUT_FOLDER.failed(f"{folder}: {problem}", fix)
    if folder.exists():
        return OUTPUT_FOLDER.ok(str(folder))
    fact = f"{folder}, made when something is saved"
    if setup.settings.output_dir is None:
        return OUTPUT_FOLDER.ok(fact)
    return OUTPUT_FOLDER.warning(fact, "If you meant another folder, correct LAYER_OUTPUT_DIR.")


def inputs(setup: Setup) -> Check:
    """Whether the folders can be read whose files may be uploaded."""
    fix = "Make the folder, or correct LAYER_INPUT_DIRS."
    try:
        folders = input_folders(setup.settings)
    except LayerError as error:
        return INPUT_FOLDERS.failed(error.message, "Set LAYER_INPUT_DIRS to folders to read.")
    # Those that are set come first; the output folder has a line of its own, and may be made later.
    set_count = len(setup.settings.input_dirs)
    looked_at = [*folders[:set_count], *filter(Path.is_dir, folders[set_count:])]
    problems = {folder: reading_problem(folder) for folder in looked_at}
    wrong = [f"{folder}: {why}" for folder, why in problems.items() if why]
    if wrong:
        return INPUT_FOLDERS.failed("; ".join(wrong), fix)
    return INPUT_FOLDERS.ok(", ".join(map(str, folders)))


def writing_problem(folder: Path) -> str | None:
    """Why nothing can be written in a folder, which may still have to be made; None if it can."""
    there = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)
    try:
        # Permissions tell too little: of root, of read-only disks, of other systems.
        with tempfile.TemporaryDirectory(prefix=".layer-mcp-", dir=there):
            return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path of a folder"
        return reason if there == folder else f"it cannot be made in {there} ({reason})"


def reading_problem(folder: Path) -> str | None:
    """Why a folder cannot be read; None if it can."""
    try:
        with os.scandir(folder):
            return None
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or "no path of a folder"
