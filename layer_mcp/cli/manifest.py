"""layer-mcp manifest: list all generated files, for a store's AI disclosure."""

import argparse
import io
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO
from uuid import uuid4

from ..errors import LayerError
from ..files.folders import PrivateFolders, open_folder
from ..files.paths import Folders, resolve_parent
from ..runs.manifest.formats import FORMATS, FormatName
from ..runs.manifest.types import MadeFile, ManifestTotals
from ..runs.service import Runs
from ..runs.views import parse_since
from ..settings import Settings
from .parser import EXIT_OK, UsageError
from .reporting import with_runs
from .screen.output import Screen, progress_bar

SUFFIXES: dict[str, FormatName] = {".csv": "csv", ".json": "json"}
CHUNK_CHARACTERS = 64 * 1024
PROGRESS_FILES = 50


def write_manifest(options: argparse.Namespace, settings: Settings, screen: Screen) -> int:
    """List all generated files, on stdout or in a new file.

    Raises:
        UsageError: the file to write exists.
        LayerError: an option is invalid, the journal or the folder can't be read, or the file
            can't be written.
    """
    out = resolve_parent(Path(options.out).expanduser()) if options.out else None
    if out is not None and out.exists():
        raise _exists(out)
    style = FORMATS[options.format or SUFFIXES.get(out.suffix.lower() if out else "", "markdown")]
    folder = Path(options.folder).expanduser().resolve() if options.folder else None
    totals = ManifestTotals()
    # Most formats start with the totals, but those are known last.
    with TemporaryFile("w+", encoding="utf-8", newline="") as rows:

        async def work(runs: Runs) -> None:
            workspace = options.workspace
            made_files = runs.manifest(
                since=parse_since(options.since, time.time()) if options.since else None,
                workspace_id=await runs.client.workspace_id(workspace) if workspace else None,
                folder=folder,
            )
            async with aclosing(made_files):
                async for made in made_files:
                    separator = style.separator if totals.files else ""
                    rows.write(separator + style.row(_relative(made, folder)))
                    totals.add(made)
                    if totals.files % PROGRESS_FILES == 0:
                        bar.update(0, None, f"{totals.files} files")

        with progress_bar(screen.stderr) as bar:
            bar.start_phase("reading the journal and the files")
            with_runs(settings, work)
        rows.seek(0)
        chunks = iter(lambda: rows.read(CHUNK_CHARACTERS), "")
        text = chain([style.head(totals)], chunks, [style.tail])
        if out is None:
            _print(text)
        else:
            _write_new(out, text, Folders.pin(settings).private())
    screen.note(f"{f'{out}: ' if out else ''}{totals.describe()}")
    return EXIT_OK


def _relative(made: MadeFile, folder: Path | None) -> MadeFile:
    """Return a file's path relative to a folder, so that the manifest can move with the folder."""
    if folder is None or made.path is None:
        return made
    return replace(made, path=made.path.relative_to(folder))


def _print(text: Iterator[str]) -> None:
    stdout: TextIO = sys.stdout
    if isinstance(stdout, io.TextIOWrapper) and not stdout.isatty():
        # The same bytes on every system.
        stdout.reconfigure(encoding="utf-8", newline="")
    for part in text:
        print(part, end="")
    print(end="", flush=True)


def _write_new(path: Path, text: Iterator[str], private: PrivateFolders) -> None:
    """Write a new file, which appears under its name only when it's complete.

    Raises:
        UsageError: the file exists.
        LayerError: FOLDER_NOT_WRITABLE.
    """
    part = f".{uuid4().hex}.part"
    try:
        with open_folder(path.parent, private) as folder:
            try:
                with folder.create(part) as file:
                    for one in text:
                        file.write(one.encode())
                # Reserves the name: a rename alone would overwrite a file created in the meantime.
                folder.create(path.name).close()
                folder.replace(part, path.name)
            finally:
                folder.remove(part)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        sentence = f"Can't write {path}: {error.strerror or type(error).__name__}."
        raise LayerError("FOLDER_NOT_WRITABLE", sentence) from None


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} already exists. Name another file, or delete it first.")
