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
from .entries import (
    Entries,
    describe_server,
    entry_text,
    is_ours,
    is_simulated,
    merge_entry,
)
from .errors import ClientConfigError, ForeignEntryError
from .redact import redact, redacted_diff


@dataclass(frozen=True)
class Change:
    """A planned change of a client's file.

    `old` and `new` are the entry before and after the change, or None. `is_foreign` is true if
    `old` isn't ours. `after` holds the file's new bytes, or None to delete a file that would
    otherwise be empty.
    """

    client: Client
    name: str
    file: ConfigFile
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    after: bytes | None
    is_foreign: bool = False
    from_backup: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing has to change."""
        return self.old == self.new

    @property
    def makes_backup(self) -> bool:
        """Whether the file is backed up first.

        A backup from before our entry isn't replaced as long as the entry is there.
        """
        if self.new is None or self.file.raw is None:
            return False
        return self.old is None or self.is_foreign or not self.file.backup.exists()

    @property
    def leaves_sandbox(self) -> bool:
        """Whether the entry switches from a simulated Layer to the real one."""
        return is_simulated(self.client, self.old) and not is_simulated(self.client, self.new)

    def diff(self) -> str:
        """Return a unified diff without secrets."""
        ours = (None if self.is_foreign else self.old, self.new)
        own = [redact(self.client, entry) for entry in ours if entry]
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


def plan_install(
    client: Client, path: Path, name: str, command: ServerCommand, *, replace_foreign: bool = False
) -> Change:
    """Plan how to add or update our entry in a client's file.

    With `replace_foreign`, an entry with this name that isn't ours is replaced.

    Raises:
        ClientConfigError: The file can't be read or edited.
        ForeignEntryError: The entry with this name isn't ours.
    """
    file = read_config(path)
    entries = Entries(client, path, file.text, name)
    old = entries.named()
    is_foreign = old is not None and not is_ours(client, old)
    if old is not None and is_foreign and not replace_foreign:
        raise ForeignEntryError(
            f"{client.title} already has an entry {name}, for {describe_server(client, old)}.",
            f"Nothing was changed. Add layer-mcp next to it with --name {name}-local, or replace "
            "it with --replace.",
        )
    new = merge_entry(client, None if is_foreign else old, command)
    change = Change(client, name, file, old, new, file.raw, is_foreign=is_foreign)
    if new == old:
        return change
    check_writable(file)
    return replace(change, after=file.encode(entries.with_entry(new)))


def plan_uninstall(client: Client, path: Path, name: str) -> Change:
    """Plan how to remove our entry from a client's file.

    A file that hasn't changed since the installation gets its earlier bytes back.

    Raises:
        ClientConfigError: The file can't be read or edited.
        ForeignEntryError: The entry with this name isn't ours.
    """
    file = read_config(path)
    entries = Entries(client, path, file.text, name)
    old = entries.named()
    change = Change(client, name, file, old, None, file.raw)
    if old is None:
        return change
    if not is_ours(client, old):
        raise ForeignEntryError(
            f"{client.title}'s entry {name} doesn't start layer-mcp; it's for "
            f"{describe_server(client, old)}.",
            "Nothing was removed. Use --name for the entry of layer-mcp, or remove this one by "
            "hand.",
        )
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
        is_before = not is_ours(entries.client, before.named())
        return is_before and before.with_entry(entry) == entries.text
    except ClientConfigError:
        return False
