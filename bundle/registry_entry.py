"""server.json for the MCP registry: how clients start the package, and which settings it has."""

import hashlib
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, cast, get_args

from layer_mcp import Settings, __version__
from layer_mcp import setting_values as values

from .listings import MANIFEST, read_json
from .requirements import ROOT, project

SERVER_JSON = ROOT / "server.json"
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
# The namespace of the account which publishes; README.md names it too, for the package index.
NAME = "io.github.layer-mcp/layer-mcp"
STDIO = {"type": "stdio"}
FORMATS: dict[Callable[..., Any], str] = {
    values.flag: "boolean",
    values.creative_units: "number",
    values.megabytes: "number",
    values.seconds: "number",
    values.folder: "filepath",
}
CHOICES: dict[Callable[..., Any], tuple[str, ...]] = {
    values.journal_policy: get_args(values.JournalPolicy),
    values.log_level: get_args(values.LogLevel),
}


def registry_entry() -> dict[str, Any]:
    """The whole file, without the addresses of registries, which are optional."""
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


def with_bundle(entry: dict[str, Any], packed: Path, address: str) -> dict[str, Any]:
    """The entry of a release, which names the address and the hash of its bundle too."""
    package = {
        "registryType": "mcpb",
        "identifier": address,
        "fileSha256": hashlib.sha256(packed.read_bytes()).hexdigest(),
        "transport": STDIO,
    }
    return entry | {"packages": [*entry["packages"], package]}


def _variable(setting: Field[Any]) -> dict[str, Any]:
    """A setting as an environment variable of the package."""
    parse = setting.metadata["parse"]
    variable: dict[str, Any] = {
        "name": setting.metadata["names"][0],
        "description": setting.metadata["help"],
        "isRequired": False,
        "format": FORMATS.get(parse, "string"),
    }
    if not setting.repr:
        variable["isSecret"] = True
    if (default := _default(setting.default)) is not None:
        variable["default"] = default
    if parse in CHOICES:
        variable["choices"] = list(CHOICES[parse])
    return variable


def _default(value: Any) -> str | None:
    """A default as text that the setting reads; None where nothing is set."""
    if value is None or value == ():
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(cast(tuple[str, ...], value)) if isinstance(value, tuple) else str(value)
