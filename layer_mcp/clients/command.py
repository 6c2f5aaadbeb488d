"""How a client starts the server: an absolute path that stays, arguments, settings."""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..setting_values import SettingsError
from ..settings import DEFAULT_API_URL, Settings
from .errors import AttachError

SCRIPT = "layer-mcp"
# Folders of environments that uvx and pipx run make for one run and clean up later.
PASSING_FOLDERS = ("/archive-v0/", "/builds-v0/", "/environments-v2/", "/pipx/.cache/")


@dataclass(frozen=True)
class Launch:
    """A command, its arguments and its environment; the token is in neither unless it has to be."""

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True)
class Choices:
    """What the user wants of the server in a client; what is None or empty is not said."""

    sandbox: bool = False
    api_url: str = DEFAULT_API_URL
    workspace: str | None = None
    output_dir: str | None = None
    input_dirs: tuple[str, ...] = ()
    toolsets: tuple[str, ...] = ()
    confirm_above: str | None = None
    max_price: str | None = None
    max_spend_per_day: str | None = None

    def environment(self) -> dict[str, str]:
        """The settings as a client's entry says them: folders absolute, defaults left out.

        Raises:
            SettingsError: a value that the server would refuse.
        """
        wanted = {
            "LAYER_SANDBOX": "1" if self.sandbox else None,
            "LAYER_API_URL": None if self._has_usual_url() else self.api_url,
            "LAYER_WORKSPACE_ID": None if self.sandbox else self.workspace,
            "LAYER_OUTPUT_DIR": _absolute(self.output_dir) if self.output_dir else None,
            "LAYER_INPUT_DIRS": os.pathsep.join(map(_input_folder, self.input_dirs)),
            "LAYER_TOOLSETS": ",".join(self.toolsets),
            "LAYER_CONFIRM_ABOVE": self.confirm_above,
            "LAYER_MAX_PRICE": self.max_price,
            "LAYER_MAX_SPEND_PER_DAY": self.max_spend_per_day,
        }
        environment = {name: value for name, value in wanted.items() if value}
        Settings.from_env(environment)
        return environment

    def _has_usual_url(self) -> bool:
        return self.sandbox or self.api_url == DEFAULT_API_URL


def _absolute(folder: str) -> str:
    return os.path.abspath(os.path.expanduser(folder))


def _input_folder(folder: str) -> str:
    path = _absolute(folder)
    if os.pathsep in path:
        raise SettingsError(f"LAYER_INPUT_DIRS cannot name a folder with {os.pathsep} in its path.")
    return path


def command_of(argv0: str, python: str, scripts: str) -> tuple[str, tuple[str, ...]]:
    """The command and first arguments that start this installation from anywhere.

    The running script, else the one beside the interpreter, else the interpreter with `-m`.
    Links are not followed: pipx and uv tool keep theirs when they update what they lead to.

    Raises:
        AttachError: the installation is one that is cleaned up later.
    """
    running = Path(os.path.abspath(argv0))
    beside = [Path(scripts, SCRIPT + ending) for ending in ("", ".exe")]
    found = [running] if running.stem == SCRIPT and running.suffix in ("", ".exe") else []
    for script in (*found, *beside):
        if script.is_file():
            _refuse_what_passes(script)
            return str(script), ()
    _refuse_what_passes(Path(python))
    return python, ("-m", "layer_mcp")


def this_command() -> tuple[str, tuple[str, ...]]:
    """The command that starts the installation that runs now.

    Raises:
        AttachError: the installation is one that is cleaned up later.
    """
    return command_of(sys.argv[0], sys.executable, sysconfig.get_path("scripts"))


def _refuse_what_passes(path: Path) -> None:
    if any(folder in path.as_posix() for folder in PASSING_FOLDERS):
        raise AttachError(
            f"{path} is in a cache that is cleaned up, so a client would lose it.",
            "Install layer-mcp to stay, with uv tool install, pipx install or a venv, "
            "and run this again from there.",
        )
