"""Generate manifest.json and server.json from the code."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, cast, get_args

from layer_mcp import Settings, __version__, settings
from layer_mcp.server.prompts import JOBS
from layer_mcp.server.tools import tools_of

from .packing import ROOT, project

MANIFEST = ROOT / "manifest.json"
SERVER_JSON = ROOT / "server.json"
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
# The namespace of the account that publishes. README.md names it too, for the package index.
NAME = "io.github.layer-mcp/layer-mcp"
STDIO = {"type": "stdio"}
FORMATS: dict[Callable[..., Any], str] = {
    settings.parse_flag: "boolean",
    settings.parse_creative_units: "number",
    settings.parse_megabytes: "number",
    settings.parse_seconds: "number",
    settings.parse_folder: "filepath",
}
CHOICES: dict[Callable[..., Any], tuple[str, ...]] = {
    settings.parse_journal_policy: get_args(settings.JournalPolicy),
    settings.parse_log_level: get_args(settings.LogLevel),
}


def manifest() -> dict[str, Any]:
    """Return the committed manifest of the bundle with the current version, tools, and prompts."""
    return read_json(MANIFEST) | {
        "version": __version__,
        "tools": [{"name": tool.name, "description": tool.title} for tool in tools_of()],
        "prompts": [
            {
                "name": job.name,
                "description": job.title,
                "arguments": [argument.name for argument in job.arguments],
                "text": job.goal,
            }
            for job in JOBS
        ],
    }


def registry_entry() -> dict[str, Any]:
    """Return the MCP registry's entry: how clients start the package, and its settings.

    The URLs of package registries are optional, and left out.
    """
    return {
        "$schema": SCHEMA,
        "name": NAME,
        "title": read_json(MANIFEST)["display_name"],
        "description": read_json(MANIFEST)["description"],
        "version": __version__,
        "packages": [
            {
                "registryType": "pypi",
                "identifier": project()["name"],
                "version": __version__,
                "runtimeHint": "uvx",
                "transport": STDIO,
                "environmentVariables": [_variable(setting) for setting in fields(Settings)],
            }
        ],
    }


def with_bundle(entry: dict[str, Any], packed: Path, url: str) -> dict[str, Any]:
    """Return the entry of a release, which also has its bundle's URL and hash."""
    package = {
        "registryType": "mcpb",
        "identifier": url,
        "fileSha256": hashlib.sha256(packed.read_bytes()).hexdigest(),
        "transport": STDIO,
    }
    return entry | {"packages": [*entry["packages"], package]}


def read_json(path: Path) -> dict[str, Any]:
    """Read an object from a file."""
    return json.loads(path.read_text(encoding="utf-8"))


def as_text(content: dict[str, Any]) -> str:
    """Return an object as the text of its file."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _variable(setting: Field[Any]) -> dict[str, Any]:
    parse = setting.metadata["parse"]
    variable: dict[str, Any] = {
        "name": setting.metadata["names"][0],
        "description": setting.metadata["help"],
        "isRequired": False,
        "format": FORMATS.get(parse, "string"),
    }
    if not setting.repr:
        variable["isSecret"] = True
    if (default := _default_text(setting.default)) is not None:
        variable["default"] = default
    if parse in CHOICES:
        variable["choices"] = list(CHOICES[parse])
    return variable


def _default_text(value: Any) -> str | None:
    if value is None or value == ():
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(cast(tuple[str, ...], value)) if isinstance(value, tuple) else str(value)
