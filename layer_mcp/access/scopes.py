"""The scopes of a caller: what it may do."""

from collections.abc import Collection
from typing import Literal, get_args

Scope = Literal["layer:read", "layer:spend"]

SCOPES: tuple[Scope, ...] = get_args(Scope)


def granted_scopes(names: Collection[str]) -> tuple[Scope, ...]:
    """Return the scopes among some names. A caller that may spend may also read."""
    return tuple(scope for scope in SCOPES if scope in names or "layer:spend" in names)
