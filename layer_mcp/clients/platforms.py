"""Where a system keeps the settings of programs, as a value: tests pass another system's."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import AttachError

System = Literal["macos", "windows", "linux"]

NO_HOME_STEP = "Set HOME, or name the client's file with --file."


@dataclass(frozen=True)
class Platform:
    """A system, its user's home folder if there is one, and the environment."""

    system: System
    home: Path | None
    environ: Mapping[str, str]

    def folder(self, base: str) -> Path:
        """A folder by the word that the table of clients uses.

        `home`; `support` is macOS's Application Support; `roaming` and `local` are Windows's
        APPDATA and LOCALAPPDATA; `config` is XDG_CONFIG_HOME.

        Raises:
            AttachError: the user has no home folder.
        """
        setting, below_home = _BASES[base]
        named = self.environ.get(setting, "")
        # The XDG specification has relative paths ignored.
        if named and Path(named).is_absolute():
            return Path(named)
        if self.home is None:
            raise AttachError("There is no home folder.", NO_HOME_STEP)
        return self.home / below_home


_SYSTEMS: Mapping[str, System] = {"darwin": "macos", "win32": "windows"}
_BASES = {
    "home": ("", ""),
    "support": ("", "Library/Application Support"),
    "roaming": ("APPDATA", "AppData/Roaming"),
    "local": ("LOCALAPPDATA", "AppData/Local"),
    "config": ("XDG_CONFIG_HOME", ".config"),
}


def this_platform(environ: Mapping[str, str] = os.environ) -> Platform:
    """The platform that runs this; any Unix but macOS counts as Linux."""
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    return Platform(
        _SYSTEMS.get(sys.platform, "linux"), home if home and home.is_absolute() else None, environ
    )
