"""The common interface of the modules that edit a configuration's text."""

from typing import Any, Protocol

from .errors import NotAnObjectError


class Format(Protocol):
    """A file format. `servers_key` is the top-level key of the servers; an empty text is fine."""

    def parse(self, text: str) -> Any:
        """Return the data of a text.

        Raises:
            ConfigSyntaxError: The text isn't valid.
        """
        ...

    def set_entry(self, text: str, servers_key: str, name: str, entry: dict[str, Any]) -> str:
        """Return a valid text with an entry added or replaced.

        Raises:
            NotEditableError: More than the entry would have to change.
        """
        ...

    def remove_entry(self, text: str, servers_key: str, name: str) -> str:
        """Return a valid text without an entry.

        Raises:
            NotEditableError: More than the entry would have to change.
        """
        ...


def load_format(name: str) -> Format:
    """Import the module of a format."""
    # Two of them import a parser that most calls don't need.
    if name == "json":
        from . import jsonc as module  # noqa: PLC0415
    elif name == "toml":
        from . import toml as module  # noqa: PLC0415
    else:
        from . import yaml as module  # noqa: PLC0415
    return module


def servers_in(data: Any, servers_key: str) -> Any:
    """Return the value at the servers' key, or None.

    Raises:
        NotAnObjectError: The data isn't an object.
    """
    if data is None:
        return None
    if not isinstance(data, dict):
        raise NotAnObjectError("The file's top level")
    return data.get(servers_key)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
