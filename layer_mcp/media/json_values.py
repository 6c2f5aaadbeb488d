"""Read values of the expected types from untrusted JSON."""

from typing import Any, TypeGuard, cast


def as_object(value: object) -> dict[str, Any]:
    """Return an object, or {} for anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a list, or [] for anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether this is a number; `true` and `false` aren't."""
    return isinstance(value, int | float) and not isinstance(value, bool)
