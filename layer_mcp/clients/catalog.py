"""The clients: where each keeps its MCP servers, and the shape of an entry there. One row each."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .command import Launch
from .errors import UnknownClientError
from .platforms import Platform, System

FormatName = Literal["json", "toml", "yaml"]
GOOSE_TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Client:
    """A program that starts MCP servers.

    `files` are the candidates of each system, relative to a folder of the platform in braces: the
    first whose folder is there, else the last. `moved` is a variable that names another folder,
    and the file in it. `place` are the keys down to the servers. `then` is what its user does
    after a change. `source` is where its maker describes all this.
    """

    id: str
    title: str
    files: Mapping[System, tuple[str, ...]]
    format: FormatName
    place: tuple[str, ...]
    entry: Callable[[Launch], dict[str, Any]]
    env_key: str
    then: str
    source: str
    moved: tuple[str, str] | None = None

    def file(self, platform: Platform) -> Path:
        """The file that this client reads for its user on a platform.

        Raises:
            AttachError: the user has no home folder.
        """
        if self.moved and (folder := platform.environ.get(self.moved[0], "").strip()):
            return Path(folder).absolute() / self.moved[1]
        candidates = [_path(template, platform) for template in self.files[platform.system]]
        return next((path for path in candidates if path.parent.is_dir()), candidates[-1])


def _path(template: str, platform: Platform) -> Path:
    base, _, below = template.removeprefix("{").partition("}/")
    return platform.folder(base).joinpath(*below.split("/"))


def _plain(launch: Launch) -> dict[str, Any]:
    return {"command": launch.command, "args": list(launch.args), "env": dict(launch.env)}


def _typed(launch: Launch) -> dict[str, Any]:
    return {"type": "stdio", **_plain(launch)}


def _extension(launch: Launch) -> dict[str, Any]:
    return {
        "enabled": True,
        "type": "stdio",
        "name": "Layer",
        "description": "Make game assets with Layer",
        "cmd": launch.command,
        "args": list(launch.args),
        "envs": dict(launch.env),
        "timeout": GOOSE_TIMEOUT_SECONDS,
    }


def _everywhere(template: str) -> dict[System, tuple[str, ...]]:
    return {"macos": (template,), "windows": (template,), "linux": (template,)}


def _by_system(below: str, *, windows_first: tuple[str, ...] = ()) -> dict[System, tuple[str, ...]]:
    return {
        "macos": (f"{{support}}/{below}",),
        "windows": (*windows_first, f"{{roaming}}/{below}"),
        "linux": (f"{{config}}/{below}",),
    }


CLIENTS = (
    Client(
        id="claude-desktop",
        title="Claude Desktop",
        # Windows gives the package from the Store a roaming folder of its own.
        files=_by_system(
            "Claude/claude_desktop_config.json",
            windows_first=(
                "{local}/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/"
                "claude_desktop_config.json",
            ),
        ),
        format="json",
        place=("mcpServers",),
        entry=_plain,
        env_key="env",
        then="Quit Claude Desktop and start it again.",
        source="https://modelcontextprotocol.io/docs/develop/connect-local-servers",
    ),
    Client(
        id="claude-code",
        title="Claude Code",
        files=_everywhere("{home}/.claude.json"),
        moved=("CLAUDE_CONFIG_DIR", ".claude.json"),
        format="json",
        place=("mcpServers",),
        entry=_typed,
        env_key="env",
        then="Start a new session of Claude Code; /mcp shows the server.",
        source="https://code.claude.com/docs/en/mcp",
    ),
    Client(
        id="cursor",
        title="Cursor",
        files=_everywhere("{home}/.cursor/mcp.json"),
        format="json",
        place=("mcpServers",),
        entry=_typed,
        env_key="env",
        then="Turn the server on in Cursor Settings > MCP.",
        source="https://cursor.com/docs/mcp",
    ),
    Client(
        id="vscode",
        title="VS Code",
        files=_by_system("Code/User/mcp.json"),
        format="json",
        place=("servers",),
        entry=_typed,
        env_key="env",
        then="Run MCP: List Servers in VS Code and start the server.",
        source="https://code.visualstudio.com/docs/copilot/reference/mcp-configuration",
    ),
    Client(
        id="windsurf",
        title="Windsurf",
        files=_everywhere("{home}/.codeium/windsurf/mcp_config.json"),
        format="json",
        place=("mcpServers",),
        entry=_plain,
        env_key="env",
        then="Press Refresh in Windsurf's list of MCP servers.",
        source="https://docs.windsurf.com/windsurf/cascade/mcp",
    ),
    Client(
        id="zed",
        title="Zed",
        files={
            "macos": ("{home}/.config/zed/settings.json",),
            "windows": ("{roaming}/Zed/settings.json",),
            "linux": ("{config}/zed/settings.json",),
        },
        format="json",
        place=("context_servers",),
        entry=_plain,
        env_key="env",
        then="Zed starts the server by itself; the agent panel's settings show it.",
        source="https://zed.dev/docs/ai/mcp",
    ),
    Client(
        id="codex",
        title="Codex",
        files=_everywhere("{home}/.codex/config.toml"),
        moved=("CODEX_HOME", "config.toml"),
        format="toml",
        place=("mcp_servers",),
        entry=_plain,
        env_key="env",
        then="Start a new session of Codex; /mcp shows the server.",
        source="https://developers.openai.com/codex/mcp",
    ),
    Client(
        id="gemini-cli",
        title="Gemini CLI",
        files=_everywhere("{home}/.gemini/settings.json"),
        moved=("GEMINI_CLI_HOME", ".gemini/settings.json"),
        format="json",
        place=("mcpServers",),
        entry=_plain,
        env_key="env",
        then="Start Gemini CLI again, in a folder that it trusts; /mcp shows the server.",
        source="https://geminicli.com/docs/tools/mcp-server",
    ),
    Client(
        id="goose",
        title="Goose",
        files={
            "macos": ("{config}/goose/config.yaml",),
            "windows": ("{roaming}/Block/goose/config/config.yaml",),
            "linux": ("{config}/goose/config.yaml",),
        },
        moved=("GOOSE_PATH_ROOT", "config/config.yaml"),
        format="yaml",
        place=("extensions",),
        entry=_extension,
        env_key="envs",
        then="Start a new session of Goose.",
        source="https://block.github.io/goose/docs/guides/config-files",
    ),
)


def client_of(name: str) -> Client:
    """The client of a name, in any case, with blanks or dashes.

    Raises:
        UnknownClientError: none; says the nearest.
    """
    wanted = "-".join(name.casefold().replace("_", " ").split())
    names = {form: one for one in CLIENTS for form in (one.id, one.id.replace("-", ""))}
    names |= {"-".join(one.title.casefold().split()): one for one in CLIENTS}
    if wanted in names:
        return names[wanted]
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    step = f"Did you mean {names[near[0]].id}? " if near else ""
    shown = "".join(letter for letter in " ".join(name.split()) if letter.isprintable())[:40]
    raise UnknownClientError(
        f"There is no client {shown}.",
        f"{step}There are: {', '.join(one.id for one in CLIENTS)}.",
    )
