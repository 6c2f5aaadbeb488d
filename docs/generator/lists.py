"""What the server offers besides tools, and the clients that it can be attached to."""

from pathlib import Path

import anyio
from mcp import Client
from mcp.types import Prompt

from layer_mcp import Settings
from layer_mcp.clients.catalog import CLIENTS, Platform, System
from layer_mcp.clients.catalog import Client as CatalogClient
from layer_mcp.doctor.checks import CHECKS
from layer_mcp.server.app import create_server
from layer_mcp.server.prompts import JOBS

from .tables import table


def client_table() -> str:
    """The clients and their file on macOS."""
    rows = [(one.title, f"`{one.id}`", _file_of(one, "macos")) for one in CLIENTS]
    return table(("client", "name", "its file, on macOS"), rows)


def client_files() -> str:
    """The file of each client on each system, as its user writes it."""
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
    """The prompts with their arguments, and what is asked for when one is left out."""
    prompts = anyio.run(_listed)[0]
    rows = [(f"`{one.name}`", one.title or "", _arguments(one)) for one in prompts]
    return table(("prompt", "what it makes", "arguments"), rows)


def resource_table() -> str:
    """The resources by their addresses; one that a template covers too stands there once."""
    _, templates, resources = anyio.run(_listed)
    covered = {address.partition("{?")[0] for address, _, _ in templates}
    others = [row for row in resources if row[0].startswith("layer:") and row[0] not in covered]
    rows = [(f"`{address}`", title, what) for address, title, what in templates + others]
    return table(("resource", "what it is", "what it says"), rows)


def check_list() -> str:
    """The checks of doctor, by the names that --json gives them, without those of each client."""
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
