"""How a client starts the server: an absolute command that lasts, arguments, and settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..settings import DEFAULT_API_URL, Settings, SettingsError
from .errors import ClientConfigError

SCRIPT = "layer-mcp"
# Parts of the folders of environments that uvx and pipx run delete later.
TEMPORARY_FOLDERS = ("/archive-v0/", "/builds-v0/", "/environments-v2/", "/pipx/.cache/")


@dataclass(frozen=True)
class ServerCommand:
    """The command, arguments, and environment variables that start the server."""

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True)
class ServerOptions:
    """The settings that a user chooses for the server in a client; None and empty are left out."""

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
        """Return the environment variables of these settings, with absolute folders.

        Raises:
            SettingsError: The server would refuse a value.
        """
        is_default_url = self.sandbox or self.api_url == DEFAULT_API_URL
        variables = {
            "LAYER_SANDBOX": "1" if self.sandbox else None,
            "LAYER_API_URL": None if is_default_url else self.api_url,
            "LAYER_WORKSPACE_ID": None if self.sandbox else self.workspace,
            "LAYER_OUTPUT_DIR": _absolute(self.output_dir) if self.output_dir else None,
            "LAYER_INPUT_DIRS": os.pathsep.join(map(_input_folder, self.input_dirs)),
            "LAYER_TOOLSETS": ",".join(self.toolsets),
            "LAYER_CONFIRM_ABOVE": self.confirm_above,
            "LAYER_MAX_PRICE": self.max_price,
            "LAYER_MAX_SPEND_PER_DAY": self.max_spend_per_day,
        }
        environment = {name: value for name, value in variables.items() if value}
        Settings.from_env(environment)
        return environment


def find_command(argv0: str, python: str, scripts: str) -> tuple[str, tuple[str, ...]]:
    """Return the command and first arguments that start this installation from any folder.

    That's the running script, or the one in the scripts folder, or else the interpreter with `-m`.
    Links aren't followed: pipx and uv tool keep theirs when they update its target.

    Raises:
        ClientConfigError: The installation is in a cache.
    """
    running = Path(os.path.abspath(argv0))
    installed = [Path(scripts, SCRIPT + ending) for ending in ("", ".exe")]
    found = [running] if running.stem == SCRIPT and running.suffix in ("", ".exe") else []
    for script in (*found, *installed):
        if script.is_file():
            _refuse_temporary(script)
            return str(script), ()
    _refuse_temporary(Path(python))
    return python, ("-m", "layer_mcp")


def _absolute(folder: str) -> str:
    return os.path.abspath(os.path.expanduser(folder))


def _input_folder(folder: str) -> str:
    path = _absolute(folder)
    if os.pathsep in path:
        raise SettingsError(f"LAYER_INPUT_DIRS can't name a folder with {os.pathsep} in its path.")
    return path


def _refuse_temporary(path: Path) -> None:
    if any(folder in path.as_posix() for folder in TEMPORARY_FOLDERS):
        raise ClientConfigError(
            f"{path} is in a temporary cache, so the client would lose it.",
            "Install layer-mcp with uv tool install, pipx install, or a venv, "
            "and run this again from there.",
        )
