"""Folders of the settings: which files may be read, and where outputs and records go."""

import os
import re
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..errors import LayerError
from ..settings import Settings
from .folders import PrivateFolders

DEFAULT_OUTPUT_FOLDER = "Layer"
# In the state folder: a file for each process that runs, which it holds a lock on.
LOCKS_FOLDER = "servers"
ADDRESSES = ("http:", "https:", "data:", "blob:")
MAX_SHOWN_PATH = 200

MAX_PART_BYTES = 100
MAX_PARTS = 10
MAX_QUOTED = 60
FOLDER_STEP = "Pass a relative folder with plain names, e.g. icons/swords."
FORBIDDEN_CHARACTERS = frozenset('<>:"|?*')
# Controls, lone surrogates, line and paragraph separators.
FORBIDDEN_CATEGORIES = frozenset(("Cc", "Cs", "Zl", "Zp"))
# Devices of Windows, with or without an extension (learn.microsoft.com, "Naming Files").
RESERVED = re.compile(r"con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9¹²³]", re.IGNORECASE)


def output_folder(settings: Settings) -> Path:
    """Return the absolute folder that outputs are saved to; it may not exist yet.

    Raises:
        LayerError: FOLDER_NOT_WRITABLE, when none is set and the user has no home folder.
    """
    try:
        wanted = settings.output_dir or str(_find_home() / DEFAULT_OUTPUT_FOLDER)
        return Path(wanted).expanduser().absolute()
    except RuntimeError:
        sentence = "There is no home folder for outputs."
        raise LayerError("FOLDER_NOT_WRITABLE", sentence) from None


@dataclass(frozen=True)
class Folders:
    """The folders of the settings with links followed, as they were when this was made.

    One that becomes a link to elsewhere later is not followed there.
    """

    settings: Settings
    inputs: tuple[Path, ...]
    output: Path | None

    @classmethod
    def pin(cls, settings: Settings) -> "Folders":
        """Follow the links of the settings' folders, once."""
        try:
            inputs = tuple(map(_pin, input_folders(settings)))
        except LayerError:
            inputs = ()
        try:
            return cls(settings, inputs, _pin(output_folder(settings)))
        except LayerError:
            return cls(settings, inputs, None)

    def input_roots(self) -> tuple[Path, ...]:
        """Return the folders whose files may be read.

        Raises:
            LayerError: FOLDER_NOT_WRITABLE, when there is no folder at all.
        """
        return self.inputs or input_folders(self.settings)

    def output_root(self) -> Path:
        """Return the folder that outputs are saved to; it may not exist yet.

        Raises:
            LayerError: FOLDER_NOT_WRITABLE, when none is set and the user has no home folder.
        """
        return self.output or output_folder(self.settings)

    def private(self) -> PrivateFolders:
        """Return the journal's folders, whose files must not be opened."""
        try:
            folder = state_folder(self.settings)
        except RuntimeError:
            folder = None
        if folder is None:
            return PrivateFolders()
        allowed = (*self.inputs, *([self.output] if self.output else []))
        return PrivateFolders((folder, folder / LOCKS_FOLDER), allowed)


def output_subfolder(root: Path, wanted: str | None) -> Path:
    """Return the output folder, or the real path of the folder below it that an agent asked for.

    Raises:
        LayerError: INVALID_FOLDER, for any other folder.
    """
    if wanted is None:
        return root
    absolute = Path(wanted)
    real = _resolve(absolute) if absolute.is_absolute() else None
    if real is not None and real.is_relative_to(root):
        wanted = str(real.relative_to(root))
    folder = root.joinpath(*safe_folder_parts(wanted))
    real = resolve_below(root, folder)
    if real is None:
        raise LayerError("INVALID_FOLDER", f"{folder} leads out of the output folder.")
    return real


def resolve_below(root: Path, folder: Path) -> Path | None:
    """Return the real path of a folder if it is the root or below it, else None."""
    real = _resolve(folder)
    return real if real is not None and real.is_relative_to(root) else None


def resolve_parent(path: Path) -> Path:
    """Return the absolute path of a file with the links of its folder followed, but not its own."""
    absolute = path.absolute()
    return _pin(absolute.parent) / absolute.name


def resolve_output(folder: Path, root: Path | None) -> Path:
    """Return the real path of a folder to save to; one in the output folder must stay there.

    Raises:
        LayerError: INVALID_FOLDER, when a link leads out of the output folder or nowhere.
    """
    folder = folder.absolute()
    real = _resolve(folder)
    is_inside = root is not None and folder.is_relative_to(root)
    if real is None or (root is not None and is_inside and not real.is_relative_to(root)):
        raise LayerError("INVALID_FOLDER", f"{folder} leads out of the output folder.")
    return real


def safe_folder_parts(folder: str) -> tuple[str, ...]:
    """Split a subfolder that an agent asked for into parts that cannot lead out of their folder.

    A slash or a backslash separates; empty parts and "." are ignored.

    Raises:
        LayerError: INVALID_FOLDER when a part could lead elsewhere or is not a name on some system.
    """
    path = folder.replace("\\", "/")
    if path.startswith("/"):
        raise _invalid(f"The folder {_quoted(folder)} is not a relative one.")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if len(parts) > MAX_PARTS:
        raise _invalid(f"The folder is deeper than {MAX_PARTS} levels.")
    for part in parts:
        problem = _find_problem(part)
        if problem:
            raise _invalid(f"The folder name {_quoted(part)} {problem}.")
    return parts


def _find_problem(part: str) -> str | None:
    """Return why a text cannot be a folder's name on some system, or None."""
    categories = {unicodedata.category(c) for c in part}
    size_bytes = len(part.encode(errors="surrogatepass"))
    device = RESERVED.fullmatch(part.partition(".")[0].rstrip(" "))
    problems = (
        (part == "..", "leads out of the output folder"),
        (part.startswith("~"), "stands for a home folder"),
        (not FORBIDDEN_CHARACTERS.isdisjoint(part), 'has one of < > : " | ? *'),
        (not FORBIDDEN_CATEGORIES.isdisjoint(categories), "has a control character"),
        (part.endswith((".", " ")), "ends in a dot or a space"),
        (device is not None, "is reserved by Windows"),
        (size_bytes > MAX_PART_BYTES, f"is longer than {MAX_PART_BYTES} bytes"),
    )
    return next((problem for applies, problem in problems if applies), None)


def _invalid(sentence: str) -> LayerError:
    return LayerError("INVALID_FOLDER", sentence, next_step=FOLDER_STEP)


def _quoted(text: str) -> str:
    """Quote foreign text for a sentence: short, and without raw control characters."""
    return repr(text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "...")


def state_folder(settings: Settings) -> Path | None:
    """Return the folder for what is kept between runs; None for a simulated Layer.

    Raises:
        RuntimeError: the user has no home folder.
    """
    # Needed at the first call only, not for listing tools.
    import platformdirs  # noqa: PLC0415

    if settings.sandbox:
        return None
    if settings.state_dir is not None:
        return _absolute(settings.state_dir)
    try:
        _find_home()
        place = platformdirs.user_state_path("layer-mcp", appauthor=False)
    except RuntimeError:
        place = Path("~")
    # Some versions answer `~/...` without a home, which would be a folder below the current one.
    if place.is_absolute():
        return place
    raise RuntimeError("there is no home folder; set LAYER_STATE_DIR")


def input_folders(settings: Settings) -> tuple[Path, ...]:
    """Return the folders whose files may be uploaded: the ones that are set, and the output folder.

    If none are set, the current folder counts, unless it is the root of the disk as in Claude
    Desktop.

    Raises:
        LayerError: FOLDER_NOT_WRITABLE, when there is no folder at all.
    """
    wanted = tuple(_absolute(folder) for folder in settings.input_dirs) or _find_current_folder()
    try:
        outputs = output_folder(settings)
    except LayerError:
        if not wanted:
            raise
        return wanted
    return wanted if outputs in wanted else (*wanted, outputs)


def find_write_problem(folder: Path, private: PrivateFolders) -> str | None:
    """Return why files can't be written to a folder, or None. It may not exist yet."""
    if private.has_path(_pin(folder)):
        return "it is the folder of the journal"
    existing = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)
    try:
        # Permissions aren't enough: they say nothing about root or read-only disks.
        with tempfile.TemporaryDirectory(prefix=".layer-mcp-", dir=existing):
            return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path of a folder"
        return reason if existing == folder else f"it cannot be made in {existing} ({reason})"


def resolve_input(path: str, folders: Sequence[Path]) -> Path:
    """Return the real path of a file that may be read; a relative path is looked up in each folder.

    The folders are given by their real paths. Links are followed before the folders are compared,
    so no link leads out of them. The error says nothing about what is outside.

    Raises:
        LayerError: PATH_NOT_ALLOWED outside the folders, FILE_NOT_FOUND if the text is not a path.
    """
    given = _parse_path(path)
    if leads_to_network(given, folders):
        raise LayerError("PATH_NOT_ALLOWED", f"{_shown(path)} is a file of another machine.")
    candidates = [given] if given.is_absolute() else [folder / given for folder in folders]
    real_paths = [_resolve(candidate) for candidate in candidates]
    allowed = [
        real
        for real in real_paths
        if real is not None and any(real.is_relative_to(folder) for folder in folders)
    ]
    leads_out = any(
        real not in allowed and os.path.islink(candidate)
        for real, candidate in zip(real_paths, candidates, strict=True)
    )
    if not allowed or leads_out:
        named = ", ".join(str(folder) for folder in folders)
        sentence = f"{_shown(path)} is outside the folders whose files may be read: {named}."
        raise LayerError("PATH_NOT_ALLOWED", sentence)
    # Not Path.exists, which raises for a name that is too long.
    return next((real for real in allowed if os.path.exists(real)), allowed[0])


def leads_to_network(path: PurePath, folders: Sequence[PurePath]) -> bool:
    """Return whether a path is on a network share that none of the folders is on.

    On Windows, even looking at a share sends the user's credentials to its machine.
    """
    return path.drive.startswith("\\\\") and path.drive.lower() not in {
        folder.drive.lower() for folder in folders
    }


def _parse_path(path: str) -> Path:
    text = path.strip()
    if text.lower().startswith(ADDRESSES):
        sentence = f"{_shown(path)} is an address and not a local path."
        step = "Save the file to an allowed folder first and give its path, or give a file_id."
        raise LayerError("PATH_NOT_ALLOWED", sentence, next_step=step)
    if text.lower().startswith("file:"):
        text = _parse_file_url(text)
    if "\0" in text:
        raise LayerError("FILE_NOT_FOUND", "The path has a NUL character.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise LayerError("FILE_NOT_FOUND", f"{_shown(path)} names no home folder.") from None


def _parse_file_url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise LayerError("FILE_NOT_FOUND", f"{_shown(url)} is no address of a file.") from None
    if parts.netloc not in ("", "localhost"):
        raise LayerError("PATH_NOT_ALLOWED", f"{_shown(url)} is a file of another machine.")
    return url2pathname(parts.path)


def _find_current_folder() -> tuple[Path, ...]:
    """Return the current folder, unless it is the root of the disk or was deleted."""
    try:
        current = Path.cwd()
    except OSError:
        return ()
    return () if current == Path(current.anchor) else (current,)


def _pin(folder: Path) -> Path:
    return _resolve(folder) or folder


def _resolve(path: Path) -> Path | None:
    try:
        real = path.resolve()
    # A circle of links, a name that is too long for the system, or half a surrogate pair.
    except (OSError, RuntimeError, ValueError):
        return None
    # Since Python 3.13 a circle is not an error: its links are left in the path.
    return None if any(os.path.islink(part) for part in (real, *real.parents)) else real


def _find_home() -> Path:
    """Return the user's home folder.

    Raises:
        RuntimeError: there is none.
    """
    # With an empty HOME Python takes the root of the disk for it.
    if os.name == "posix" and os.environ.get("HOME") == "":
        raise RuntimeError("HOME is empty")
    return Path.home()


def _absolute(folder: str) -> Path:
    try:
        return Path(folder).expanduser().absolute()
    except RuntimeError:
        return Path(folder).absolute()


def _shown(path: str) -> str:
    return path if len(path) <= MAX_SHOWN_PATH else path[:MAX_SHOWN_PATH] + "..."
