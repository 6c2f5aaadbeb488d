"""Plans and applies what installing or uninstalling changes in a client's file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .catalog import Client
from .command import ServerCommand
from .config_file import (
    ConfigFile,
    check_writable,
    read_backup,
    read_config,
    remove_backup,
    remove_config,
    replace_config,
)
from .entries import Entries, entry_text, is_simulated, merge_entry
from .errors import ClientConfigError
from .redact import redact, redacted_diff


@dataclass(frozen=True)
class Change:
    """A planned change of a client's file.

    `old` and `new` are our entry before and after, None if there is none. `after` are the file's
    new bytes, None if it's deleted because it would contain nothing but our entry.
    """

    client: Client
    name: str
    file: ConfigFile
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    after: bytes | None
    from_backup: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to change."""
        return self.old == self.new

    @property
    def makes_backup(self) -> bool:
        """Whether the file is backed up first; it isn't if it already has our entry."""
        return self.old is None and self.file.raw is not None

    @property
    def leaves_sandbox(self) -> bool:
        """Whether the entry switches from a simulated Layer to the real one."""
        return is_simulated(self.client, self.old) and not is_simulated(self.client, self.new)

    def diff(self) -> str:
        """Return a unified diff without secrets."""
        own = [redact(self.client, entry) for entry in (self.old, self.new) if entry]
        after = replace(self.file, raw=self.after).text
        shown = [entry_text(self.client, self.name, entry) for entry in own]
        return redacted_diff(str(self.file.path), self.file.text, after, "".join(shown))

    def apply(self) -> None:
        """Write the file.

        Raises:
            ClientConfigError: It can't be written; nothing was changed.
        """
        if self.after is None:
            remove_config(self.file)
        else:
            replace_config(self.file, self.after, backup=self.makes_backup)
        if self.from_backup:
            remove_backup(self.file)


def plan_install(client: Client, path: Path, name: str, command: ServerCommand) -> Change:
    """Plan how to add or update our entry in a client's file.

    Raises:
        ClientConfigError: The file can't be read or edited.
    """
    file = read_config(path)
    entries = Entries(client, path, file.text, name)
    old = entries.ours()
    new = merge_entry(client, old, command)
    if new == old:
        return Change(client, name, file, old, new, file.raw)
    check_writable(file)
    return Change(client, name, file, old, new, file.encode(entries.with_entry(new)))


def plan_uninstall(client: Client, path: Path, name: str) -> Change:
    """Plan how to remove our entry from a client's file.

    A file that hasn't changed since the installation gets its earlier bytes back.

    Raises:
        ClientConfigError: The file can't be read or edited.
    """
    file = read_config(path)
    entries = Entries(client, path, file.text, name)
    old = entries.ours()
    change = Change(client, name, file, old, None, file.raw)
    if old is None:
        return change
    backup = read_backup(file)
    if backup is not None and _is_result_of(entries, replace(file, raw=backup), old):
        return replace(change, after=backup, from_backup=True)
    if backup is None and _is_result_of(entries, replace(file, raw=None), old):
        return replace(change, after=None)
    return replace(change, after=file.encode(entries.without_entry()))


def _is_result_of(entries: Entries, earlier: ConfigFile, entry: dict[str, Any]) -> bool:
    """Return whether installing an entry in an earlier file gives the current text."""
    try:
        before = replace(entries, text=earlier.text)
        return before.ours() is None and before.with_entry(entry) == entries.text
    except ClientConfigError:
        return False
