"""Installing and uninstalling the entry: what would change, and the change itself."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .catalog import Client
from .command import Launch
from .config_file import (
    ConfigFile,
    backup_bytes,
    read_config,
    refuse_read_only,
    remove_backup,
    remove_config,
    replace_config,
)
from .entries import Entries, entry_text, is_simulated, merged, without_secrets
from .errors import AttachError
from .shown_diff import shown_diff


@dataclass(frozen=True)
class Change:
    """What becomes of a client's file.

    `after` is None when the file goes, as it would hold nothing but our entry. `old` and `new` are
    our entry before and after; None where there is none.
    """

    client: Client
    name: str
    file: ConfigFile
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    after: bytes | None
    from_backup: bool = False

    @property
    def is_none(self) -> bool:
        """Whether everything is already as wanted."""
        return self.old == self.new

    @property
    def makes_backup(self) -> bool:
        """Whether the file is kept as it was: only when it has no entry of ours yet."""
        return self.old is None and self.file.raw is not None

    @property
    def leaves_the_sandbox(self) -> bool:
        """Whether the entry was for a simulated Layer, and is for the real one now."""
        return is_simulated(self.client, self.old) and not is_simulated(self.client, self.new)

    def diff(self) -> str:
        """A unified diff of the changed lines, without values that are not ours and the token."""
        own = [without_secrets(self.client, entry) for entry in (self.old, self.new) if entry]
        after = replace(self.file, raw=self.after).text
        shown = [entry_text(self.client, self.name, entry) for entry in own]
        return shown_diff(str(self.file.path), self.file.text, after, "".join(shown))

    def apply(self) -> None:
        """Write it.

        Raises:
            AttachError: it cannot be written; nothing was changed.
        """
        if self.after is None:
            remove_config(self.file)
        else:
            replace_config(self.file, self.after, backup=self.makes_backup)
        if self.from_backup:
            remove_backup(self.file)


def installation(client: Client, path: Path, name: str, launch: Launch) -> Change:
    """What installing changes in a client's file; nothing when the same entry is there.

    Raises:
        AttachError: the file cannot be read or edited.
    """
    file = read_config(path)
    entries = Entries(client, path, file.text, name)
    old = entries.ours()
    new = merged(client, old, launch)
    if new == old:
        return Change(client, name, file, old, new, file.raw)
    refuse_read_only(file)
    return Change(client, name, file, old, new, file.encoded(entries.with_entry(new)))


def uninstallation(client: Client, path: Path, name: str) -> Change:
    """What uninstalling changes in a client's file; nothing when there is no entry.

    A file that is as installing left it becomes the file that it was, byte for byte.

    Raises:
        AttachError: the file cannot be read or edited.
    """
    file = read_config(path)
    entries = Entries(client, path, file.text, name)
    old = entries.ours()
    change = Change(client, name, file, old, None, file.raw)
    if old is None:
        return change
    backup = backup_bytes(file)
    if backup is not None and _leads_to(replace(file, raw=backup), entries, old):
        return replace(change, after=backup, from_backup=True)
    if backup is None and _leads_to(replace(file, raw=None), entries, old):
        return replace(change, after=None)
    return replace(change, after=file.encoded(entries.without_entry()))


def _leads_to(earlier: ConfigFile, entries: Entries, entry: dict[str, Any]) -> bool:
    """Whether installing this entry in an earlier file gives the file as it is."""
    try:
        before = replace(entries, text=earlier.text)
        return before.ours() is None and before.with_entry(entry) == entries.text
    except AttachError:
        return False
