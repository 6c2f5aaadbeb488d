"""How an entry is put into a text and taken out of it; one module for each format."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Place = tuple[str, ...]


@dataclass(frozen=True)
class Format:
    """What can be done with a text of a format. `place` are the keys down to the servers.

    `parse` raises ConfigSyntaxError. `put` and `take_out` expect a text that parses, and raise
    NotEditableError where they would have to touch more than our entry. A text without anything
    in it is an empty file.
    """

    parse: Callable[[str], Any]
    put: Callable[[str, Place, str, dict[str, Any]], str]
    take_out: Callable[[str, Place, str], str]


def format_of(name: str) -> Format:
    """The format of this name; its module is imported now."""
    # YAML needs a package that listing tools must not load.
    if name == "json":
        from . import jsonc as module  # noqa: PLC0415
    elif name == "toml":
        from . import toml as module  # noqa: PLC0415
    else:
        from . import yaml as module  # noqa: PLC0415
    return Format(module.parse, module.put, module.take_out)


def inner(data: Any, place: Place) -> Any:
    """What stands at a place; None when nothing does.

    Raises:
        TypeError: something on the way is no object; says its keys.
    """
    for depth, key in enumerate(place):
        if data is None:
            return None
        if not isinstance(data, dict):
            raise TypeError(".".join(place[:depth]) or "The file's top level")
        data = data.get(key)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return data  # pyright: ignore[reportUnknownVariableType]


def nested(keys: Place, value: Any) -> Any:
    """A value below these keys."""
    for key in reversed(keys):
        value = {key: value}
    return value


def newline_of(text: str) -> str:
    """The line ending that a text uses first."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"
