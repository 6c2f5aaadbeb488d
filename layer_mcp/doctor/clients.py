"""Checks of the clients on this machine whose configuration starts layer-mcp."""

import contextlib
import os
import shutil
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ..clients.catalog import CLIENTS, Client, Platform, this_platform
from ..clients.config_file import read_config
from ..clients.entries import LAYER_MCP, command_line, is_ours, token_in
from ..clients.errors import ClientConfigError, ConfigSyntaxError, NotAnObjectError
from ..clients.formats import load_format, servers_in
from ..settings import DEFAULT_API_URL, SettingsError, normal_api_url
from .types import Finding, Setup, fail, ok, warn


@dataclass(frozen=True)
class ConfiguredClient:
    """A client, its configuration file, and the command of each entry that starts layer-mcp.

    `tokens` are the tokens in these entries, by API URL. If the file can't be parsed, `problem`
    says why, and `mentions_layer_mcp` whether its text contains the name.
    """

    client: Client
    path: Path
    commands: Mapping[str, str]
    problem: str | None = None
    mentions_layer_mcp: bool = False
    tokens: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


def check_clients(setup: Setup) -> Finding:
    """Report which clients have an entry for layer-mcp."""
    titles = [one.client.title for one in setup.get(find_configured_clients) if one.commands]
    return ok(", ".join(titles) or "none has an entry; layer-mcp install CLIENT adds one")


def check_client(setup: Setup, client: Client) -> Finding | None:
    """Check that a client can start layer-mcp; None if it isn't configured to."""
    found = next((one for one in setup.get(find_configured_clients) if one.client is client), None)
    if found is None:
        return None
    if found.problem is not None:
        fact, fix = f"{found.path}: {found.problem}", f"Fix it, then restart {client.title}."
        return fail(fact, fix) if found.mentions_layer_mcp else warn(fact, fix)
    commands, install = found.commands, f"layer-mcp install {client.id}"
    missing = {name: one for name, one in commands.items() if shutil.which(one) is None}
    if missing:
        fix = f"Run {install}, or remove the entry from {found.path}."
        return fail(f"{_list_commands(missing)}, which is missing or can't be started", fix)
    without_path = {name: one for name, one in commands.items() if not os.path.dirname(one)}
    if without_path:
        fix = f"Clients may have a different PATH. {install} writes the full path."
        return warn(f"{_list_commands(without_path)}, without a full path", fix)
    return ok(", ".join(f"{name}: {command}" for name, command in commands.items()))


def find_configured_clients(setup: Setup) -> tuple[ConfiguredClient, ...]:
    """Find the clients that have an entry for layer-mcp or a file that can't be read."""
    platform = this_platform(setup.environ)
    found = (_read_client(client, platform) for client in CLIENTS)
    return tuple(one for one in found if one and (one.commands or one.problem))


def _list_commands(commands: Mapping[str, str]) -> str:
    return ", ".join(f"{name} starts {command}" for name, command in commands.items())


def _read_client(client: Client, platform: Platform) -> ConfiguredClient | None:
    try:
        path = client.file(platform)
    except ClientConfigError:
        return None
    text = ""
    try:
        text = read_config(path).text
        servers = servers_in(load_format(client.format).parse(text), client.servers_key)
    except ConfigSyntaxError as error:
        problem = f"invalid {client.format.upper()} at line {error.line}, column {error.column}"
    except NotAnObjectError as error:
        problem = f"{error} is not an object"
    except ClientConfigError as error:
        problem = error.fact.removeprefix(f"{path} ").rstrip(".")
    else:
        entries = _find_entries(client, servers)
        commands = {name: command_line(client, entry)[0] for name, entry in entries.items()}
        tokens = dict(_find_tokens(client, entries.values()))
        return ConfiguredClient(client, path, commands, tokens=tokens)
    is_mentioned = bool(LAYER_MCP.search(text))
    return ConfiguredClient(client, path, {}, problem, mentions_layer_mcp=is_mentioned)


def _find_entries(client: Client, servers: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(servers, dict):
        return {}
    return {
        name: entry
        for name, entry in cast("dict[str, Any]", servers).items()
        if is_ours(client, entry)
    }


def _find_tokens(client: Client, entries: Iterable[dict[str, Any]]) -> Generator[tuple[str, str]]:
    for entry in entries:
        token = token_in(client, entry)
        environment: dict[str, Any] = entry.get(client.env_key) or {}
        if token is None or environment.get("LAYER_SANDBOX"):
            continue
        with contextlib.suppress(SettingsError):
            yield normal_api_url(str(environment.get("LAYER_API_URL") or DEFAULT_API_URL)), token
