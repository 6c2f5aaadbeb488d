"""What a check found: a state, a fact, and a fix where something is wrong."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One line of the report. `id` stays the same between versions; `fix` is what to do next."""

    id: str
    title: str
    state: State
    fact: str
    fix: str | None = None


@dataclass(frozen=True)
class Subject:
    """What a check is about; makes its result."""

    id: str
    title: str

    def ok(self, fact: str) -> Check:
        """Everything is as it should be."""
        return Check(self.id, self.title, "ok", fact)

    def warning(self, fact: str, fix: str) -> Check:
        """It works, but perhaps not as its user wants."""
        return Check(self.id, self.title, "warning", fact, fix)

    def failed(self, fact: str, fix: str) -> Check:
        """It does not work."""
        return Check(self.id, self.title, "failed", fact, fix)

    def skipped(self, why: str) -> Check:
        """It could not be looked at, because something else is wrong."""
        return Check(self.id, self.title, "skipped", f"not checked: {why}")
