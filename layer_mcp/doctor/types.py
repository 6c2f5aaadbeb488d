"""What a check receives and what it returns."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from ..settings import Settings

State = Literal["ok", "warning", "failed", "skipped"]

FactT = TypeVar("FactT")


@dataclass(frozen=True)
class Finding:
    """What one check found, and how to fix it if something is wrong."""

    state: State
    fact: str
    fix: str | None = None


def ok(fact: str) -> Finding:
    """Return the finding of a check that passes."""
    return Finding("ok", fact)


def warn(fact: str, fix: str) -> Finding:
    """Return the finding for something that works, but maybe not as the user wants."""
    return Finding("warning", fact, fix)


def fail(fact: str, fix: str) -> Finding:
    """Return the finding for something that doesn't work."""
    return Finding("failed", fact, fix)


def skip(reason: str) -> Finding:
    """Return the finding of a check that couldn't run."""
    return Finding("skipped", f"not checked: {reason}")


@dataclass(frozen=True)
class CheckResult:
    """A finding and the check that it belongs to. The ID stays the same between versions."""

    id: str
    title: str
    state: State
    fact: str
    fix: str | None = None


@dataclass(frozen=True)
class Setup:
    """The settings and the environment to check.

    If the settings are invalid, `settings_problem` says why and `settings` holds the defaults.
    `is_own_sandbox` is true if the API is a sandbox that was started for these checks.
    """

    settings: Settings
    settings_problem: str = ""
    is_own_sandbox: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    _facts: dict[Any, Any] = field(default_factory=dict[Any, Any], init=False, repr=False)

    def get(self, find: Callable[["Setup"], FactT]) -> FactT:
        """Return what `find` returns for this setup. It runs once, unless it raises."""
        if find not in self._facts:
            self._facts[find] = find(self)
        return self._facts[find]

    def peek(self, find: Callable[["Setup"], FactT]) -> FactT | None:
        """Return what `find` returned, or None if it hasn't run yet."""
        return self._facts.get(find)
