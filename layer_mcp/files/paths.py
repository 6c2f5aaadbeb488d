"""The folders in the settings, and the files that can be read or written in them."""

import os
import re
import tempfile
import unicodedata
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import cast

from ..errors import LayerError
from ..settings import Settings
from .folders import PrivateFolders

DEFAULT_OUTPUT_FOLDER = "Layer"
# In the state folder: a file for each running process, which holds a lock on it.
LOCKS_FOLDER = "servers"
# In the state folder: the state of simulated runs.
SANDBOX_FOLDER = "sandbox"

MAX_PART_BYTES = 100
MAX_PARTS = 10
MAX_QUOTED = 60
FOLDER_STEP = "Pass a relative folder with plain names, such as icons/swords."
FORBIDDEN_CHARACTERS = frozenset('<>:"|?*')
# Controls, lone surrogates, line and paragraph separators.
FORBIDDEN_CATEGORIES = frozenset(("Cc", "Cs", "Zl", "Zp"))
# Device names on Windows, with or without an extension (learn.microsoft.com, "Naming Files").
RESERVED = re.compile(r"con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9¹²³]", re.IGNORECASE)


def output_folder(settings: Settings) -> Path:
    """Return the absolute folder that outputs are saved to; it may not exist yet.

    Raises:
        LayerError: FOLDER_NOT_WRITABLE, if none is set and the user has no home folder.
    """
    try:
        wanted = settings.output_dir or str(_find_home() / DEFAULT_OUTPUT_FOLDER)
        return Path(wanted).expanduser().absolute()
    except RuntimeError:
        sentence = "There is no home folder for outputs."
        raise LayerError("FOLDER_NOT_WRITABLE", sentence) from None


@dataclass(frozen=True)
class Folders:
    """The folders in the settings, with the links that existed when this was created followed.

    A folder that becomes a link later isn't followed.
    """

    settings: Settings
    inputs: tuple[Path, ...]
    output: Path | None

    @classmethod
    def pin(cls, settings: Settings) -> "Folders":
        """Follow the links of the folders in the settings, once."""
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
            LayerError: FOLDER_NOT_WRITABLE, if there is no folder at all.
        """
        return self.inputs or input_folders(self.settings)

    def output_root(self) -> Path:
        """Return the folder that outputs are saved to; it may not exist yet.

        Raises:
            LayerError: FOLDER_NOT_WRITABLE, if none is set and the user has no home folder.
        """
        return self.output or output_folder(self.settings)

    def private(self) -> PrivateFolders:
        """Return the folders whose files must not be opened: the journal's, or all of them."""
        if not self.settings.uses_disk:
            return PrivateFolders(has_all=True)
        try:
            account = _base_state_folder(self.settings)
        except RuntimeError:
            return PrivateFolders()
        allowed = (*self.inputs, *([self.output] if self.output else []))
        journals = (account, account / SANDBOX_FOLDER)
        folders = [folder for one in journals for folder in (one, one / LOCKS_FOLDER)]
        return PrivateFolders(tuple(folders), allowed)


def path_of(given: object) -> Path:
    """Convert a path that a Python program passed as text or a path; ~ is the home folder.

    Raises:
        LayerError: INVALID_ARGUMENTS.
    """
    if not isinstance(given, str | PathLike):
        sentence = f"A path must be text or a Path, not {type(given).__name__}."
        raise LayerError("INVALID_ARGUMENTS", sentence)
    try:
        return Path(os.fsdecode(cast("str | PathLike[str]", given))).expanduser()
    except RuntimeError:
        raise LayerError("INVALID_ARGUMENTS", f"{given} names no home folder.") from None


def output_subfolder(root: Path, wanted: str | None) -> Path:
    """Return the output folder, or the real path of the folder below it that an agent asked for.

    Raises:
        LayerError: INVALID_FOLDER, if it's not below the output folder.
    """
    if wanted is None:
        return root
    absolute = Path(wanted)
    real = resolve(absolute) if absolute.is_absolute() else None
    if real is not None and real.is_relative_to(root):
        wanted = str(real.relative_to(root))
    folder = root.joinpath(*safe_folder_parts(wanted))
    real = resolve_below(root, folder)
    if real is None:
        raise LayerError("INVALID_FOLDER", f"{folder} leads out of the output folder.")
    return real


def resolve_below(root: Path, folder: Path) -> Path | None:
    """Return the real path of a folder if it's the root or below it, else None."""
    real = resolve(folder)
    return real if real is not None and real.is_relative_to(root) else None


def resolve_parent(path: Path) -> Path:
    """Return the absolute path of a file with the links of its folder followed, but not its own."""
    absolute = path.absolute()
    return _pin(absolute.parent) / absolute.name


def resolve_output(folder: Path, root: Path | None) -> Path:
    """Return the real path of a folder to save to; one in the output folder must stay there.

    Raises:
        LayerError: INVALID_FOLDER, if a link leads out of the output folder or is broken.
    """
    folder = folder.absolute()
    real = resolve(folder)
    is_inside = root is not None and folder.is_relative_to(root)
    if real is None or (root is not None and is_inside and not real.is_relative_to(root)):
        raise LayerError("INVALID_FOLDER", f"{folder} leads out of the output folder.")
    return real


def safe_folder_parts(folder: str) -> tuple[str, ...]:
    """Split a subfolder that an agent asked for into parts that can't lead out of its parent.
    A slash or a backslash separates; empty parts and "." are ignored.

    Raises:
        LayerError: INVALID_FOLDER, if a part could lead elsewhere or isn't a valid name on every
            system.
    """
    path = folder.replace("\\", "/")
    if path.startswith("/"):
        raise _invalid(f"The folder {_quoted(folder)} isn't a relative path.")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if len(parts) > MAX_PARTS:
        raise _invalid(f"The folder has more than {MAX_PARTS} levels.")
    for part in parts:
        problem = _find_problem(part)
        if problem:
            raise _invalid(f"The folder name {_quoted(part)} {problem}.")
    return parts


def _find_problem(part: str) -> str | None:
    """Return why a text can't be a folder's name on every system, or None."""
    categories = {unicodedata.category(c) for c in part}
    size_bytes = len(part.encode(errors="surrogatepass"))
    device = RESERVED.fullmatch(part.partition(".")[0].rstrip(" "))
    problems = (
        (part == "..", "leads out of the output folder"),
        (part.startswith("~"), "refers to a home folder"),
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
    """Quote untrusted text for a sentence: short, and without control characters."""
    return repr(text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "...")


def state_folder(settings: Settings) -> Path:
    """Return the folder for data kept between sessions; the sandbox has its own.

    Raises:
        RuntimeError: The user has no home folder.
    """
    folder = _base_state_folder(settings)
    return folder / SANDBOX_FOLDER if settings.sandbox else folder


def _base_state_folder(settings: Settings) -> Path:
    # Imported here because only calls need it, not listing the tools.
    import platformdirs  # noqa: PLC0415

    wanted = settings.state_dir
    try:
        if wanted is None or wanted.startswith("~"):
            _find_home()
        if wanted is not None:
            return Path(wanted).expanduser().absolute()
        place = platformdirs.user_state_path("layer-mcp", appauthor=False)
    except RuntimeError:
        place = Path("~")
    # Some versions return `~/...` without a home, which would be a folder below the current one.
    if place.is_absolute():
        return place
    raise RuntimeError("there is no home folder; set LAYER_STATE_DIR")


def input_folders(settings: Settings) -> tuple[Path, ...]:
    """Return the folders whose files can be uploaded: the ones that are set, and the output folder.

    If none are set, the current folder is used, unless it's the root of the disk, as in Claude
    Desktop.

    Raises:
        LayerError: FOLDER_NOT_WRITABLE, if there is no folder at all.
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
        return "it's the journal's folder"
    existing = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)
    try:
        # Permissions aren't enough: they say nothing about root or read-only disks.
        with tempfile.TemporaryDirectory(prefix=".layer-mcp-", dir=existing):
            return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it isn't a valid path"
        return reason if existing == folder else f"it can't be created in {existing} ({reason})"


def _find_current_folder() -> tuple[Path, ...]:
    """Return the current folder, unless it is the root of the disk or was deleted."""
    try:
        current = Path.cwd()
    except OSError:
        return ()
    return () if current == Path(current.anchor) else (current,)


def _pin(folder: Path) -> Path:
    return resolve(folder) or folder


def resolve(path: Path) -> Path | None:
    """Return the real path of a file or folder, or None if the system can't have such a path."""
    try:
        real = path.resolve()
    # A circular link, a name that is too long for the system, or half a surrogate pair.
    except (OSError, RuntimeError, ValueError):
        return None
    # Since Python 3.13, a circular link isn't an error: it's left in the path.
    return None if any(os.path.islink(part) for part in (real, *real.parents)) else real


def _find_home() -> Path:
    """Return the user's home folder.

    Raises:
        RuntimeError: there is none.
    """
    # With an empty HOME, Python uses the root of the disk.
    if os.name == "posix" and os.environ.get("HOME") == "":
        raise RuntimeError("HOME is empty")
    return Path.home()


def _absolute(folder: str) -> Path:
    try:
        return Path(folder).expanduser().absolute()
    except RuntimeError:
        return Path(folder).absolute()
