"""Our entry among a client's servers: put in, taken out, compared; nothing is written here."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from ..token_text import TokenTextError, token_of
from .catalog import Client
from .command import Launch
from .errors import AttachError, ConfigSyntaxError, NotEditableError
from .formats import Format, Place, format_of, inner

TOKEN_NAMES = ("LAYER_API_KEY", "LAYER_API_TOKEN", "LAYER_TOKEN")
# What an install says anew each time; settings beside them stay from the last one.
DECIDED_NAMES = (*TOKEN_NAMES, "LAYER_SANDBOX", "LAYER_API_URL")
HIDDEN = "..."


@dataclass(frozen=True)
class Entries:
    """The servers of a client's file as it is, and what our entry in it is called."""

    client: Client
    path: Path
    text: str
    name: str

    def checked(self) -> dict[str, Any]:
        """The servers that there are.

        Raises:
            AttachError: the text is not of its format, or the servers are no object.
        """
        try:
            servers = inner(self._data, self.client.place)
        except ConfigSyntaxError as error:
            raise AttachError(
                f"{self.path}, line {error.line}, column {error.column}: {error.problem}. "
                "Nothing was changed.",
                "Correct that place and run the same command again.",
            ) from None
        except TypeError as error:
            raise self._no_object(str(error)) from None
        if servers is None:
            return {}
        if not isinstance(servers, dict):
            raise self._no_object(".".join(self.client.place))
        return cast("dict[str, Any]", servers)

    def ours(self) -> dict[str, Any] | None:
        """Our entry; None when there is none.

        Raises:
            AttachError: as `checked`, or what has our name is no object.
        """
        servers = self.checked()
        if self.name not in servers:
            return None
        found = servers[self.name]
        if not isinstance(found, dict):
            raise self._no_object(".".join((*self.client.place, self.name)))
        return cast("dict[str, Any]", found)

    def with_entry(self, entry: dict[str, Any]) -> str:
        """The text with this entry; checked to say what it said, beside the entry.

        Raises:
            AttachError: the text cannot be edited without touching what is not ours.
        """
        servers = {**self.checked(), self.name: entry}
        expected = _with_inner(self._data, self.client.place, servers)
        return self._edited(
            lambda: self._format.put(self.text, self.client.place, self.name, entry), expected
        )

    def without_entry(self) -> str:
        """The text without our entry; checked in the same way.

        Raises:
            AttachError: the text cannot be edited without touching what is not ours.
        """
        servers = {name: one for name, one in self.checked().items() if name != self.name}
        expected = _with_inner(self._data, self.client.place, servers)
        return self._edited(
            lambda: self._format.take_out(self.text, self.client.place, self.name), expected
        )

    @property
    def _format(self) -> Format:
        return format_of(self.client.format)

    @cached_property
    def _data(self) -> Any:
        return self._format.parse(self.text)

    def _edited(self, edit: Any, expected: Any) -> str:
        try:
            text = edit()
            why = "" if self._says(text, expected) else "its form is not one that is edited here"
        except NotEditableError as error:
            text, why = "", str(error)
        if why:
            place = ".".join((*self.client.place, self.name))
            raise AttachError(
                f"{self.path}: {place} cannot be changed, as {why}. Nothing was changed.",
                f"Do it by hand; layer-mcp config {self.client.id} prints the entry.",
            )
        return text

    def _says(self, text: str, expected: Any) -> bool:
        try:
            return self._without_empty_place(self._format.parse(text)) == (
                self._without_empty_place(expected)
            )
        except ConfigSyntaxError:
            return False

    def _without_empty_place(self, data: Any) -> Any:
        """TOML has no table left when its last one is gone."""
        [*outer, last] = self.client.place
        around = inner(data, tuple(outer))
        if isinstance(around, dict) and not around.get(last):  # pyright: ignore[reportUnknownMemberType]
            around.pop(last, None)  # pyright: ignore[reportUnknownMemberType]
        return data

    def _no_object(self, place: str) -> AttachError:
        return AttachError(
            f"{self.path}: {place} is not an object of servers. Nothing was changed.",
            "Correct it or move the file away, and run the same command again.",
        )


def _with_inner(data: Any, place: Place, value: Any) -> Any:
    """The data with another value at a place; nothing that aliases may share is changed."""
    if not place:
        return value
    outer: dict[str, Any] = data or {}
    return {**outer, place[0]: _with_inner(outer.get(place[0]), place[1:], value)}


def entry_text(client: Client, name: str, entry: dict[str, Any]) -> str:
    """The entry as it would stand in an empty file of the client."""
    return format_of(client.format).put("", client.place, name, entry)


def token_in(client: Client, entry: dict[str, Any] | None) -> str | None:
    """The token that an entry holds itself; None when it leaves it to the keyring."""
    environment: Any = (entry or {}).get(client.env_key)
    if not isinstance(environment, dict):
        return None
    found = cast("dict[str, Any]", environment)
    for name in TOKEN_NAMES:
        # A reference such as ${env:TOKEN} is none.
        with suppress(TokenTextError):
            return token_of(str(found.get(name) or ""))
    return None


def is_simulated(client: Client, entry: dict[str, Any] | None) -> bool:
    """Whether an entry starts the server with a simulated Layer."""
    environment: Any = (entry or {}).get(client.env_key)
    return isinstance(environment, dict) and "LAYER_SANDBOX" in environment


def without_secrets(client: Client, entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with only those values of its environment that are no secrets."""
    environment: Any = entry.get(client.env_key)
    if not isinstance(environment, dict):
        return entry
    shown = {
        name: value if _is_open(name) else HIDDEN
        for name, value in cast("dict[str, Any]", environment).items()
    }
    return {**entry, client.env_key: shown}


def _is_open(name: str) -> bool:
    return name.startswith("LAYER_") and name not in TOKEN_NAMES


def merged(client: Client, old: dict[str, Any] | None, launch: Launch) -> dict[str, Any]:
    """The entry for a launch, with what somebody added to the old one.

    Limits and folders of the old environment stay unless they are given anew; the token, the
    sandbox and the address are what this launch says.
    """
    new = client.entry(launch)
    if old is None:
        return new
    old_env: Any = old.get(client.env_key)
    kept: dict[str, Any] = {}
    if isinstance(old_env, dict):
        named = cast("dict[str, Any]", old_env)
        kept = {name: value for name, value in named.items() if name not in DECIDED_NAMES}
    return {**old, **new, client.env_key: {**kept, **new[client.env_key]}}
