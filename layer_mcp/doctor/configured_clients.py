"""The clients on this machine whose configuration names layer-mcp."""

import contextlib
import os
import re
import shutil
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, cast

from ..clients.catalog import CLIENTS, Client, Platform, this_platform
from ..clients.command import ServerCommand
from ..clients.config_file import read_config
from ..clients.entries import token_in
from ..clients.errors import ClientConfigError, ConfigSyntaxError
from ..clients.formats import load_format, servers_in
from ..settings import DEFAULT_API_URL, SettingsError, normal_api_url

OWN_NAME = "layer"
OURS = re.compile(r"layer[-_]mcp", re.IGNORECASE)
PLACEHOLDER = "?"


@dataclass(frozen=True)
class ConfiguredClient:
    """A client, its file, and the commands of its entries for layer-mcp by their names.

    `tokens` are those that stand in its entries, by the API's address. `problem` says why the file
    cannot be read; `is_named` whether it speaks of layer-mcp then.
    """

    client: Client
    path: Path
    commands: Mapping[str, str]
    problem: str | None = None
    is_named: bool = False
    tokens: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    def missing(self) -> dict[str, str]:
        """The commands that are not on this machine."""
        return {name: one for name, one in self.commands.items() if shutil.which(one) is None}

    def looked_up(self) -> dict[str, str]:
        """The commands without a path: a client may not find them."""
        return {name: one for name, one in self.commands.items() if not os.path.dirname(one)}


def configured_clients(environ: Mapping[str, str]) -> tuple[ConfiguredClient, ...]:
    """The clients that have an entry for layer-mcp or a file that cannot be read."""
    platform = this_platform(environ)
    found = (_configured(client, platform) for client in CLIENTS)
    return tuple(one for one in found if one and (one.commands or one.problem))


def _configured(client: Client, platform: Platform) -> ConfiguredClient | None:
    try:
        path = client.file(platform)
    except ClientConfigError:
        return None
    text = ""
    try:
        text = read_config(path).text
        servers = servers_in(load_format(client.format).parse(text), client.servers_key)
    except ConfigSyntaxError as error:
        # The parser's own words may quote the file, and with it a token.
        problem = f"no valid {client.format.upper()} in line {error.line}, column {error.column}"
    except TypeError as error:
        problem = f"{error} is not an object"
    except ClientConfigError as error:
        problem = error.fact.removeprefix(f"{path} ").rstrip(".")
    else:
        entries = _entries(client, servers)
        commands = {name: _command(client, entry)[0] for name, entry in entries.items()}
        tokens = dict(_tokens(client, entries.values()))
        return ConfiguredClient(client, path, commands, tokens=tokens)
    return ConfiguredClient(client, path, {}, problem, is_named=bool(OURS.search(text)))


def _entries(client: Client, servers: Any) -> dict[str, dict[str, Any]]:
    """The entries that start layer-mcp."""
    if not isinstance(servers, dict):
        return {}
    named = cast("dict[str, Any]", servers)
    commands = ((name, entry, _command(client, entry)) for name, entry in named.items())
    return {name: entry for name, entry, command in commands if _is_ours(name, command)}


def _tokens(client: Client, entries: Iterable[dict[str, Any]]) -> Generator[tuple[str, str]]:
    for entry in entries:
        token = token_in(client, entry)
        environment: dict[str, Any] = entry.get(client.env_key) or {}
        if token is None or environment.get("LAYER_SANDBOX"):
            continue
        with contextlib.suppress(SettingsError):
            yield normal_api_url(str(environment.get("LAYER_API_URL") or DEFAULT_API_URL)), token


def _command(client: Client, entry: Any) -> list[str]:
    """The command of an entry and its arguments; nothing for a server that is an address."""
    if not isinstance(entry, dict):
        return []
    usual = client.entry(ServerCommand(PLACEHOLDER))
    key = next(key for key, value in usual.items() if value == PLACEHOLDER)
    found = cast("dict[str, Any]", entry)
    command, args = found.get(key), found.get("args")
    if not isinstance(command, str) or not command:
        return []
    listed = cast("list[object]", args) if isinstance(args, list) else []
    return [command, *(str(one) for one in listed)]


def _is_ours(name: str, command: list[str]) -> bool:
    words = [PurePath(one).stem for one in command[:1]] + command[1:]
    return bool(command) and (name == OWN_NAME or any(OURS.search(word) for word in words))
