"""Tables of prompts, resources, settings, checks, and clients."""

from dataclasses import Field, fields
from pathlib import Path
from typing import Any, cast

import anyio
from mcp import Client
from mcp.types import Prompt

from layer_mcp import Settings
from layer_mcp.clients.catalog import CLIENTS, Platform, System
from layer_mcp.clients.catalog import Client as CatalogClient
from layer_mcp.doctor.checks import CHECKS
from layer_mcp.server.app import create_server
from layer_mcp.server.http.settings import HttpSettings
from layer_mcp.server.prompts import JOBS

from .tables import table


def client_table() -> str:
    """Return a row for each client with its file on macOS."""
    rows = [(one.title, f"`{one.id}`", _file_of(one, "macos")) for one in CLIENTS]
    return table(("client", "name", "configuration file on macOS"), rows)


def client_files() -> str:
    """Return a row for each client with its file on each system, as users write the path."""
    rows = [
        (
            one.title,
            _file_of(one, "macos"),
            _file_of(one, "linux"),
            _file_of(one, "windows").replace("~/AppData/Roaming", "%APPDATA%").replace("/", "\\"),
        )
        for one in CLIENTS
    ]
    return table(("client", "macOS", "Linux", "Windows"), rows)


def _file_of(client: CatalogClient, system: System) -> str:
    return f"`{client.file(Platform(system, Path('~'), {}))}`"


def prompt_table() -> str:
    """Return a row for each prompt with its arguments and their defaults."""
    prompts = anyio.run(_listed)[0]
    rows = [(f"`{one.name}`", one.title or "", _arguments(one)) for one in prompts]
    return table(("prompt", "what it makes", "arguments"), rows)


def resource_table() -> str:
    """Return a row for each resource. One that's covered by a template is listed once."""
    _, templates, resources = anyio.run(_listed)
    covered = {address.partition("{?")[0] for address, _, _ in templates}
    others = [row for row in resources if row[0].startswith("layer:") and row[0] not in covered]
    rows = [(f"`{address}`", title, what) for address, title, what in templates + others]
    return table(("resource", "description", "content"), rows)


def settings_table() -> str:
    """Return a row for each setting with all of its names."""
    rows = [_setting_row(field) for field in fields(Settings)]
    return table(("setting", "default", "description"), rows)


def http_settings_table() -> str:
    """Return a row for each setting of the HTTP server."""
    rows = [_setting_row(field) for field in fields(HttpSettings) if field.metadata]
    return table(("setting", "default", "description"), rows)


def _setting_row(field: Field[Any]) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in field.metadata["names"])
    default = f"`{_as_in_environment(field.default)}`" if field.default else ""
    return names, default, field.metadata["help"]


def _as_in_environment(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in cast("tuple[object, ...]", value))
    return str(int(value)) if isinstance(value, bool) else str(value)


def check_list() -> str:
    """Return a row for each check of doctor with its name in --json, except those of clients."""
    checks = [check for check in CHECKS if not check.id.startswith("client.")]
    return table(("check", "in --json"), [(check.title, f"`{check.id}`") for check in checks])


Row = tuple[str, str, str]


async def _listed() -> tuple[list[Prompt], list[Row], list[Row]]:
    async with Client(create_server(Settings())) as client:
        prompts = (await client.list_prompts()).prompts
        templates = (await client.list_resource_templates()).resource_templates
        resources = (await client.list_resources()).resources
    return (
        prompts,
        [(one.uri_template, one.title or "", one.description or "") for one in templates],
        [(str(one.uri), one.title or "", one.description or "") for one in resources],
    )


def _arguments(prompt: Prompt) -> str:
    defaults = {(job.name, each.name): each.default for job in JOBS for each in job.arguments}
    words: list[str] = []
    for argument in prompt.arguments or []:
        default = defaults[prompt.name, argument.name]
        note = " (required)" if argument.required else f" ({default})" if default else ""
        words.append(f"`{argument.name}`{note}")
    return ", ".join(words)
