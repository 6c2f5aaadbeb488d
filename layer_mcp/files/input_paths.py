"""Finds the file that a path means, in the folders whose files may be read.

The exact path comes first. If there is no such file, the path is read the way people and agents
write it: with a shell's quotes and backslashes, or with different spaces and accents than the name
on disk. Answers reveal nothing about files outside the folders.
"""

import difflib
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePath
from typing import TypeGuard

from ..errors import LayerError
from ..settings import tidy_value
from ..text.file_urls import is_file_url, path_of_file_url
from ..text.plain_text import quote
from .folders import PrivateFolders
from .paths import resolve

ADDRESSES = ("http:", "https:", "data:", "blob:")
MAX_SHOWN_PATH = 200
MAX_LISTED_NAMES = 10_000
MAX_NAME_LENGTH = 255
SUGGESTED_NAMES = 3
SHELL_ESCAPE = re.compile(r"\\(.)")


def resolve_input(
    path: str, folders: Sequence[Path], private: PrivateFolders | None = None
) -> Path:
    """Return the real path of a file that may be read; look up a relative path in each folder.

    The folders are given by their real paths. Links are followed before the folders are compared,
    so no link leads out of them. Names in `private` folders are neither compared nor suggested.

    Raises:
        LayerError: PATH_NOT_ALLOWED outside the folders, FILE_NOT_FOUND if there is no such file.
    """
    private = private or PrivateFolders()
    allowed: list[Path] = []
    is_outside = False
    for text in _readings(path):
        found = _allowed_paths(_parse_path(text), path, folders)
        for real in found:
            # Path.exists raises an error for a name that is too long.
            if os.path.exists(real):
                return real
        is_outside = not found
        allowed = [*found, *allowed]
    if is_outside:
        raise _outside(path, folders)
    for real in allowed:
        sibling = _find_sibling(real, folders, private)
        if sibling is not None:
            return sibling
    raise _not_found(path, allowed, private)


def leads_to_network(path: PurePath, folders: Sequence[PurePath]) -> bool:
    """Return whether a path is on a network share that contains none of the folders.

    On Windows, even looking up a file on a share sends the user's credentials to its machine.
    """
    return path.drive.startswith("\\\\") and path.drive.lower() not in {
        folder.drive.lower() for folder in folders
    }


def _readings(path: str) -> Iterator[str]:
    """Yield the possible meanings of a path, the exact path first."""
    yield path
    tidy = path.strip()
    if tidy != path:
        yield tidy
    if tidy_value(path) != tidy:
        yield tidy_value(path)
    # On Windows, a backslash separates folders.
    elif os.sep != "\\" and "\\" in tidy:
        yield SHELL_ESCAPE.sub(r"\1", tidy)


def _parse_path(text: str) -> Path:
    tidy = text.strip()
    if tidy.lower().startswith(ADDRESSES):
        sentence = f"{_shown(text)} is a URL, not a local path."
        step = "Save the file to an allowed folder first and pass its path, or pass a file_id."
        raise LayerError("PATH_NOT_ALLOWED", sentence, next_step=step)
    if is_file_url(tidy):
        text = _parse_file_url(tidy)
    if "\0" in text:
        raise LayerError("FILE_NOT_FOUND", "The path has a NUL character.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise LayerError("FILE_NOT_FOUND", f"{_shown(text)} names no home folder.") from None


def _parse_file_url(url: str) -> str:
    try:
        path = path_of_file_url(url)
    except ValueError:
        raise LayerError("FILE_NOT_FOUND", f"{_shown(url)} isn't a valid file URL.") from None
    if path is None:
        raise _other_machine(url)
    return path


def _allowed_paths(given: Path, path: str, folders: Sequence[Path]) -> list[Path]:
    """Return the real paths that a path can refer to, without those outside the folders."""
    if leads_to_network(given, folders):
        raise _other_machine(path)
    candidates = [given] if given.is_absolute() else [folder / given for folder in folders]
    allowed: list[Path] = []
    for candidate in candidates:
        real = resolve(candidate)
        if _is_inside(real, folders):
            allowed.append(real)
        elif os.path.islink(candidate):
            raise _outside(path, folders)
    return allowed


def _is_inside(real: Path | None, folders: Sequence[Path]) -> TypeGuard[Path]:
    return real is not None and any(real.is_relative_to(folder) for folder in folders)


def _find_sibling(real: Path, folders: Sequence[Path], private: PrivateFolders) -> Path | None:
    """Return the one file whose path differs only in spaces and in how accents are encoded."""
    found, missing = _split_missing(real)
    for part in missing:
        if not _is_inside(found, folders) or private.has_path(found):
            return None
        same = [name for name in _list_names(found) if _normalize(name) == _normalize(part)]
        found = resolve(found / same[0]) if len(same) == 1 else None
    return found if _is_inside(found, folders) else None


def _split_missing(real: Path) -> tuple[Path | None, tuple[str, ...]]:
    """Return the nearest folder of a path that exists, and the names below it."""
    existing = next((one for one in real.parents if os.path.isdir(one)), None)
    return existing, real.relative_to(existing).parts if existing else ()


def _normalize(name: str) -> str:
    """Return a name with composed accents and plain spaces: macOS puts U+202F before "PM"."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def _list_names(folder: Path) -> list[str]:
    with suppress(OSError, ValueError), os.scandir(folder) as entries:
        return [entry.name for entry in islice(entries, MAX_LISTED_NAMES)]
    return []


def _not_found(path: str, allowed: Sequence[Path], private: PrivateFolders) -> LayerError:
    sentence = f"There is no file {_shown(str(allowed[0]))}."
    names = list(dict.fromkeys(name for real in allowed for name in _near_names(real, private)))
    if not names:
        return LayerError("FILE_NOT_FOUND", sentence)
    meant = " or ".join(map(quote, names[:SUGGESTED_NAMES]))
    return LayerError("FILE_NOT_FOUND", f"{sentence} Did you mean {meant}?")


def _near_names(real: Path, private: PrivateFolders) -> list[str]:
    """Return names similar to a missing file's name from the same folder."""
    if private.has_path(real.parent):
        return []
    names = {
        _normalize(name).casefold(): name
        for name in _list_names(real.parent)
        if not name.startswith(".")
    }
    wanted = _normalize(real.name[:MAX_NAME_LENGTH]).casefold()
    near = difflib.get_close_matches(wanted, names, SUGGESTED_NAMES)
    return [names[key] for key in near]


def _outside(path: str, folders: Sequence[Path]) -> LayerError:
    named = ", ".join(str(folder) for folder in folders)
    sentence = f"{_shown(path)} is outside the folders whose files can be read: {named}."
    return LayerError("PATH_NOT_ALLOWED", sentence)


def _other_machine(path: str) -> LayerError:
    return LayerError("PATH_NOT_ALLOWED", f"{_shown(path)} is a file on another machine.")


def _shown(path: str) -> str:
    return path if len(path) <= MAX_SHOWN_PATH else path[:MAX_SHOWN_PATH] + "..."
