"""Finds, adds, and removes our entry among a client's servers; works on text, not on files.

An entry is ours if it starts layer-mcp. Another program's entry may have the same name, such as the
one that Layer documents for its hosted server.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, cast
from urllib.parse import urlsplit

from ..tokens import InvalidTokenError, parse_token
from .catalog import Client
from .command import ServerCommand
from .errors import ClientConfigError, ConfigSyntaxError, NotAnObjectError, NotEditableError
from .formats import load_format, servers_in

LAYER_MCP = re.compile(r"layer[-_]mcp", re.IGNORECASE)
WEB_SCHEMES = ("http", "https")
PLACEHOLDER = "?"
TOKEN_NAMES = ("LAYER_API_KEY", "LAYER_API_TOKEN", "LAYER_TOKEN")
# An old entry's other variables are kept when it's installed again.
REPLACED_NAMES = (*TOKEN_NAMES, "LAYER_SANDBOX", "LAYER_API_URL")


@dataclass(frozen=True)
class Entries:
    """The servers in the text of a client's file, and the name that our entry has there."""

    client: Client
    path: Path
    text: str
    name: str

    def servers(self) -> dict[str, Any]:
        """Return the entries by name.

        Raises:
            ClientConfigError: The text isn't valid, or the servers aren't an object.
        """
        try:
            servers = servers_in(self._data, self.client.servers_key)
        except ConfigSyntaxError as error:
            raise ClientConfigError(
                f"{self.path}, line {error.line}, column {error.column}: {error.problem}. "
                "Nothing was changed.",
                "Fix it, then run the same command again.",
            ) from None
        except NotAnObjectError as error:
            raise self._not_an_object(str(error)) from None
        if servers is None:
            return {}
        if not isinstance(servers, dict):
            raise self._not_an_object(self.client.servers_key)
        return cast("dict[str, Any]", servers)

    def named(self) -> dict[str, Any] | None:
        """Return the entry with our name, no matter who added it, or None.

        Raises:
            ClientConfigError: As for `servers`, or the entry isn't an object.
        """
        servers = self.servers()
        if self.name not in servers:
            return None
        found = servers[self.name]
        if not isinstance(found, dict):
            raise self._not_an_object(f"{self.client.servers_key}.{self.name}")
        return cast("dict[str, Any]", found)

    def with_entry(self, entry: dict[str, Any]) -> str:
        """Return the text with this entry, after checking that all other data is unchanged.

        Raises:
            ClientConfigError: The text can't be edited without changing other data.
        """
        servers = {**self.servers(), self.name: entry}
        edit = load_format(self.client.format).set_entry
        return self._checked(lambda: edit(self.text, *self._our_keys, entry), servers)

    def without_entry(self) -> str:
        """Return the text without our entry, after the same check.

        Raises:
            ClientConfigError: The text can't be edited without changing other data.
        """
        servers = {name: entry for name, entry in self.servers().items() if name != self.name}
        edit = load_format(self.client.format).remove_entry
        return self._checked(lambda: edit(self.text, *self._our_keys), servers)

    @property
    def _our_keys(self) -> tuple[str, str]:
        return self.client.servers_key, self.name

    @cached_property
    def _data(self) -> Any:
        return load_format(self.client.format).parse(self.text)

    def _checked(self, edit: Callable[[], str], servers: dict[str, Any]) -> str:
        try:
            text = edit()
            if not self._contains(text, servers):
                raise NotEditableError
        except NotEditableError as error:
            raise ClientConfigError(
                f"{self.path}: {'.'.join(self._our_keys)} can't be edited because {error}. "
                "Nothing was changed.",
                f"Edit it by hand; layer-mcp config {self.client.id} prints the entry.",
            ) from None
        return text

    def _contains(self, text: str, servers: dict[str, Any]) -> bool:
        """Return whether an edited text has these servers and the other data of the old one."""
        key = self.client.servers_key
        try:
            data: dict[str, Any] = load_format(self.client.format).parse(text)
        except ConfigSyntaxError:
            return False
        expected: dict[str, Any] = {**(self._data or {}), key: servers}
        # TOML has no table left when its last entry is removed.
        return {**data, key: data.get(key) or {}} == expected

    def _not_an_object(self, keys: str) -> ClientConfigError:
        return ClientConfigError(
            f"{self.path}: {keys} isn't an object of servers. Nothing was changed.",
            "Fix or move the file, then run the same command again.",
        )


def entry_text(client: Client, name: str, entry: dict[str, Any]) -> str:
    """Return the text of a file that has only this entry."""
    return load_format(client.format).set_entry("", client.servers_key, name, entry)


def merge_entry(
    client: Client, old: dict[str, Any] | None, command: ServerCommand
) -> dict[str, Any]:
    """Return the entry for a command, with the keys that someone added to the old entry.

    The old environment's limits and folders are kept unless the command sets them. The token, the
    sandbox, and the address are the command's.
    """
    new = client.entry(command)
    if old is None:
        return new
    variables = environment_of(client, old).items()
    kept = {name: value for name, value in variables if name not in REPLACED_NAMES}
    return {**old, **new, client.env_key: {**kept, **new[client.env_key]}}


def is_ours(client: Client, entry: Any) -> bool:
    """Return whether an entry starts layer-mcp."""
    words = command_line(client, entry)
    names = [PurePath(words[0]).stem, *words[1:]] if words else []
    return any(LAYER_MCP.search(name) and not _host_of(name) for name in names)


def command_line(client: Client, entry: Any) -> list[str]:
    """Return an entry's command and arguments; nothing for a server with a URL."""
    if not isinstance(entry, dict):
        return []
    written = client.entry(ServerCommand(PLACEHOLDER))
    key = next(key for key, value in written.items() if value == PLACEHOLDER)
    found = cast("dict[str, Any]", entry)
    command, args = found.get(key), found.get("args")
    if not isinstance(command, str) or not command:
        return []
    arguments = cast("list[object]", args) if isinstance(args, list) else []
    return [command, *map(str, arguments)]


def describe_server(client: Client, entry: dict[str, Any]) -> str:
    """Say what server an entry is for, without parts that may be secret."""
    words = command_line(client, entry)
    texts = [*words, *(value for value in entry.values() if isinstance(value, str))]
    host = next(filter(None, map(_host_of, texts)), None)
    if host is not None:
        return f"a server at {host}"
    return f"a server started with {PurePath(words[0]).name}" if words else "another server"


def _host_of(text: str) -> str | None:
    with suppress(ValueError):
        parts = urlsplit(text)
        return parts.hostname if parts.scheme in WEB_SCHEMES else None
    return None


def environment_of(client: Client, entry: dict[str, Any] | None) -> dict[str, Any]:
    """Return the environment variables of an entry, if any."""
    environment: Any = (entry or {}).get(client.env_key)
    return cast("dict[str, Any]", environment) if isinstance(environment, dict) else {}


def is_simulated(client: Client, entry: dict[str, Any] | None) -> bool:
    """Return whether an entry starts the server with a simulated Layer."""
    return "LAYER_SANDBOX" in environment_of(client, entry)


def token_in(client: Client, entry: dict[str, Any] | None) -> str | None:
    """Return the token in an entry, or None if it has none."""
    environment = environment_of(client, entry)
    for name in TOKEN_NAMES:
        # A reference such as ${env:TOKEN} isn't a token.
        with suppress(InvalidTokenError):
            return parse_token(str(environment.get(name) or ""))
    return None
