"""The catalog of clients: where each one keeps its MCP servers, and what an entry looks like."""

import difflib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..text.plain_text import one_line
from .command import ServerCommand
from .errors import ClientConfigError, UnknownClientError

System = Literal["macos", "windows", "linux"]
FormatName = Literal["json", "toml", "yaml"]

GOOSE_TIMEOUT_SECONDS = 300
SYSTEMS: Mapping[str, System] = {"darwin": "macos", "win32": "windows"}
# The variable that moves a base folder, and its path in the home folder.
BASE_FOLDERS = {
    "home": ("", ""),
    "support": ("", "Library/Application Support"),
    "roaming": ("APPDATA", "AppData/Roaming"),
    "local": ("LOCALAPPDATA", "AppData/Local"),
    "config": ("XDG_CONFIG_HOME", ".config"),
}


@dataclass(frozen=True)
class Platform:
    """A system, the user's home folder, if any, and the environment variables."""

    system: System
    home: Path | None
    environ: Mapping[str, str]

    def folder(self, base: str) -> Path:
        """Return a base folder.

        Raises:
            ClientConfigError: The user has no home folder.
        """
        variable, below_home = BASE_FOLDERS[base]
        override = self.environ.get(variable, "")
        # The XDG specification says to ignore relative paths.
        if override and Path(override).is_absolute():
            return Path(override)
        if self.home is None:
            raise ClientConfigError(
                "There is no home folder.", "Set HOME, or use --file for the client's file."
            )
        return self.home / below_home


def this_platform(environ: Mapping[str, str] = os.environ) -> Platform:
    """Return the current platform; any Unix except macOS counts as Linux."""
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    system = SYSTEMS.get(sys.platform, "linux")
    return Platform(system, home if home and home.is_absolute() else None, environ)


@dataclass(frozen=True)
class Client:
    """A program that starts MCP servers.

    `files` are its possible configuration files on each system, relative to a base folder in
    braces; the first whose folder exists counts, or else the last. `override` is a variable that
    names another folder, and the file in it. `next_step` tells the user what to do after an
    installation.
    """

    id: str
    title: str
    files: Mapping[System, tuple[str, ...]]
    format: FormatName
    servers_key: str
    entry: Callable[[ServerCommand], dict[str, Any]]
    next_step: str
    env_key: str = "env"
    override: tuple[str, str] | None = None

    def file(self, platform: Platform) -> Path:
        """Return the configuration file on a platform.

        Raises:
            ClientConfigError: The user has no home folder.
        """
        if self.override and (folder := platform.environ.get(self.override[0], "").strip()):
            return Path(folder).absolute() / self.override[1]
        candidates = [_path(template, platform) for template in self.files[platform.system]]
        return next((path for path in candidates if path.parent.is_dir()), candidates[-1])


def _path(template: str, platform: Platform) -> Path:
    base, _, below = template.removeprefix("{").partition("}/")
    return platform.folder(base).joinpath(*below.split("/"))


def _entry(command: ServerCommand) -> dict[str, Any]:
    return {"command": command.command, "args": list(command.args), "env": dict(command.env)}


def _typed_entry(command: ServerCommand) -> dict[str, Any]:
    return {"type": "stdio", **_entry(command)}


def _goose_entry(command: ServerCommand) -> dict[str, Any]:
    return {
        "enabled": True,
        "type": "stdio",
        "name": "Layer",
        "description": "Make game assets with Layer",
        "cmd": command.command,
        "args": list(command.args),
        "envs": dict(command.env),
        "timeout": GOOSE_TIMEOUT_SECONDS,
    }


def _same_on_all(template: str) -> dict[System, tuple[str, ...]]:
    return {"macos": (template,), "windows": (template,), "linux": (template,)}


def _by_system(path: str, *, windows_first: tuple[str, ...] = ()) -> dict[System, tuple[str, ...]]:
    return {
        "macos": (f"{{support}}/{path}",),
        "windows": (*windows_first, f"{{roaming}}/{path}"),
        "linux": (f"{{config}}/{path}",),
    }


CLIENTS = (
    # https://modelcontextprotocol.io/docs/develop/connect-local-servers
    Client(
        id="claude-desktop",
        title="Claude Desktop",
        # The package from Microsoft's store has a separate roaming folder.
        files=_by_system(
            "Claude/claude_desktop_config.json",
            windows_first=(
                "{local}/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/"
                "claude_desktop_config.json",
            ),
        ),
        format="json",
        servers_key="mcpServers",
        entry=_entry,
        next_step="Quit Claude Desktop and start it again.",
    ),
    # https://code.claude.com/docs/en/mcp
    Client(
        id="claude-code",
        title="Claude Code",
        files=_same_on_all("{home}/.claude.json"),
        override=("CLAUDE_CONFIG_DIR", ".claude.json"),
        format="json",
        servers_key="mcpServers",
        entry=_typed_entry,
        next_step="Start a new session of Claude Code; /mcp shows the server.",
    ),
    # https://cursor.com/docs/mcp
    Client(
        id="cursor",
        title="Cursor",
        files=_same_on_all("{home}/.cursor/mcp.json"),
        format="json",
        servers_key="mcpServers",
        entry=_typed_entry,
        next_step="Turn the server on in Cursor Settings > MCP.",
    ),
    # https://code.visualstudio.com/docs/copilot/reference/mcp-configuration
    Client(
        id="vscode",
        title="VS Code",
        files=_by_system("Code/User/mcp.json"),
        format="json",
        servers_key="servers",
        entry=_typed_entry,
        next_step="Run MCP: List Servers in VS Code and start the server.",
    ),
    # https://docs.windsurf.com/windsurf/cascade/mcp
    Client(
        id="windsurf",
        title="Windsurf",
        files=_same_on_all("{home}/.codeium/windsurf/mcp_config.json"),
        format="json",
        servers_key="mcpServers",
        entry=_entry,
        next_step="Press Refresh in Windsurf's list of MCP servers.",
    ),
    # https://zed.dev/docs/ai/mcp
    Client(
        id="zed",
        title="Zed",
        files={
            "macos": ("{home}/.config/zed/settings.json",),
            "windows": ("{roaming}/Zed/settings.json",),
            "linux": ("{config}/zed/settings.json",),
        },
        format="json",
        servers_key="context_servers",
        entry=_entry,
        next_step="Zed starts the server automatically; the agent panel's settings show it.",
    ),
    # https://developers.openai.com/codex/mcp
    Client(
        id="codex",
        title="Codex",
        files=_same_on_all("{home}/.codex/config.toml"),
        override=("CODEX_HOME", "config.toml"),
        format="toml",
        servers_key="mcp_servers",
        entry=_entry,
        next_step="Start a new session of Codex; /mcp shows the server.",
    ),
    # https://geminicli.com/docs/tools/mcp-server
    Client(
        id="gemini-cli",
        title="Gemini CLI",
        files=_same_on_all("{home}/.gemini/settings.json"),
        override=("GEMINI_CLI_HOME", ".gemini/settings.json"),
        format="json",
        servers_key="mcpServers",
        entry=_entry,
        next_step="Restart Gemini CLI in a trusted folder; /mcp shows the server.",
    ),
    # https://block.github.io/goose/docs/guides/config-files
    Client(
        id="goose",
        title="Goose",
        files={
            "macos": ("{config}/goose/config.yaml",),
            "windows": ("{roaming}/Block/goose/config/config.yaml",),
            "linux": ("{config}/goose/config.yaml",),
        },
        override=("GOOSE_PATH_ROOT", "config/config.yaml"),
        format="yaml",
        servers_key="extensions",
        entry=_goose_entry,
        env_key="envs",
        next_step="Start a new session of Goose.",
    ),
)


def find_client(name: str) -> Client:
    """Find a client by its id or title, in any case, with spaces or dashes.

    Raises:
        UnknownClientError: There is none; the message has the nearest name.
    """
    wanted = "-".join(name.casefold().replace("_", " ").split())
    names = {form: client for client in CLIENTS for form in (client.id, client.id.replace("-", ""))}
    names |= {"-".join(client.title.casefold().split()): client for client in CLIENTS}
    if wanted in names:
        return names[wanted]
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    step = f"Did you mean {names[near[0]].id}? " if near else ""
    raise UnknownClientError(
        f"Unknown client {one_line(name, 40)}.",
        f"{step}Clients: {', '.join(client.id for client in CLIENTS)}.",
    )
