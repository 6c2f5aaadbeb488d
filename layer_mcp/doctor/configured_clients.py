"""The clients on this machine whose configuration names layer-mcp."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, cast

from ..attach.clients import CLIENTS, Client
from ..attach.config_file import read_config
from ..attach.errors import AttachError, ConfigSyntaxError
from ..attach.formats import format_of, inner
from ..attach.launch import Launch
from ..attach.platforms import Platform, this_platform

OWN_NAME = "layer"
OURS = re.compile(r"layer[-_]mcp", re.IGNORECASE)
PLACEHOLDER = "?"


@dataclass(frozen=True)
class ConfiguredClient:
    """A client, its file, and the commands of its entries for layer-mcp by their names.

    `problem` says why the file cannot be read; `is_named` whether it speaks of layer-mcp then.
    """

    client: Client
    path: Path
    commands: Mapping[str, str]
    problem: str | None = None
    is_named: bool = False

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
    except AttachError:
        return None
    text = ""
    try:
        text = read_config(path).text
        servers = inner(format_of(client.format).parse(text), client.place)
    except ConfigSyntaxError as error:
        # The parser's own words may quote the file, and with it a token.
        problem = f"no valid {client.format.upper()} in line {error.line}, column {error.column}"
    except TypeError as error:
        problem = f"{error} is not an object"
    except AttachError as error:
        problem = error.fact.removeprefix(f"{path} ").rstrip(".")
    else:
        return ConfiguredClient(client, path, _commands(client, servers))
    return ConfiguredClient(client, path, {}, problem, is_named=bool(OURS.search(text)))


def _commands(client: Client, servers: Any) -> dict[str, str]:
    if not isinstance(servers, dict):
        return {}
    named = cast("dict[str, Any]", servers)
    commands = ((name, _command(client, entry)) for name, entry in named.items())
    return {name: command[0] for name, command in commands if command and _is_ours(name, command)}


def _command(client: Client, entry: Any) -> list[str]:
    """The command of an entry and its arguments; nothing for a server that is an address."""
    if not isinstance(entry, dict):
        return []
    usual = client.entry(Launch(PLACEHOLDER))
    key = next(key for key, value in usual.items() if value == PLACEHOLDER)
    found = cast("dict[str, Any]", entry)
    command, args = found.get(key), found.get("args")
    if not isinstance(command, str) or not command:
        return []
    listed = cast("list[object]", args) if isinstance(args, list) else []
    return [command, *(str(one) for one in listed)]


def _is_ours(name: str, command: list[str]) -> bool:
    words = [PurePath(command[0]).stem, *command[1:]]
    return name == OWN_NAME or any(OURS.search(word) for word in words)
