"""The table of settings."""

from dataclasses import fields
from typing import Any, cast

from layer_mcp import Settings

from .tables import table


def settings_table() -> str:
    """A row for each setting, with all of its names."""
    return table(("setting", "default", "what it is"), [_row(field) for field in fields(Settings)])


def _row(field: Any) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in field.metadata["names"])
    default = f"`{_as_text(field.default)}`" if field.default else ""
    return names, default, field.metadata["help"]


def _as_text(value: Any) -> str:
    """A default as it would be written in the environment."""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in cast("tuple[object, ...]", value))
    return str(int(value)) if isinstance(value, bool) else str(value)
