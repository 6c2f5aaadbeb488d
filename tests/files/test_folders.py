"""Folders and files that are opened without following links, and the ones nobody may open."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from layer_mcp.files import folders
from layer_mcp.files.folders import (
    LinkError,
    NotAFileError,
    PrivateFileError,
    PrivateFolders,
    open_file,
    open_folder,
    read_file,
)

from ..support.locks import is_locked

NOTHING_PRIVATE = PrivateFolders()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder with a database that this process has locked."""
    folder = tmp_path / "state"
    (folder / "servers").mkdir(parents=True)
    with closing(sqlite3.connect(folder / "journal.sqlite3", isolation_level=None)) as database:
        database.execute("CREATE TABLE runs (id)")
        database.execute("BEGIN EXCLUSIVE")
        yield folder


@pytest.fixture
def private(state: Path) -> PrivateFolders:
    return PrivateFolders((state, state / "servers"))


def itself(state: Path) -> Path:
    return state / "journal.sqlite3"


def hard_link(state: Path) -> Path:
    path = state.parent / "a.png"
    path.hardlink_to(state / "journal.sqlite3")
    return path


def renamed_folder(state: Path) -> Path:
    """The same folder under another name, as on a disk that ignores case."""
    (state.parent / "other").symlink_to(state)
    return (state.parent / "other").resolve() / "journal.sqlite3"


@pytest.mark.process
@pytest.mark.parametrize("spell", [itself, hard_link, renamed_folder])
def test_a_file_of_the_journal_is_refused_before_it_is_opened(
    spell: Callable[[Path], Path], state: Path, private: PrivateFolders
) -> None:
    with pytest.raises(PrivateFileError):
        open_file(spell(state), private)
    assert is_locked(state / "journal.sqlite3")


@pytest.mark.process
def test_a_file_of_the_journal_is_refused_without_proc(
    state: Path, private: PrivateFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "PATH_ONLY", 0)
    with pytest.raises(PrivateFileError):
        open_file(hard_link(state), private)
    assert is_locked(state / "journal.sqlite3")


def test_rejects_files_next_to_a_linked_database(
    state: Path, tmp_path: Path, private: PrivateFolders
) -> None:
    (tmp_path / "disk").mkdir()
    for ending in ("", "-wal", "-shm"):
        (tmp_path / "disk" / f"real{ending}").write_bytes(b"x")
    (state / "linked.sqlite3").symlink_to(tmp_path / "disk" / "real")
    for ending in ("", "-wal", "-shm"):
        with pytest.raises(PrivateFileError):
            open_file(tmp_path / "disk" / f"real{ending}", private)


def test_a_folder_below_a_private_one_is_refused_unless_it_is_named(
    state: Path, private: PrivateFolders
) -> None:
    named = state / "media" / "icons"
    with pytest.raises(PrivateFileError), open_folder(named, private, make=True):
        pass
    assert not named.exists()
    allowed = PrivateFolders(private.folders, (state / "media",))
    with open_folder(named, allowed, make=True) as folder:
        folder.create("a.png").close()
    assert (named / "a.png").exists()
    with pytest.raises(PrivateFileError), open_folder(state / "other", allowed, make=True):
        pass


def test_a_private_folder_is_refused_even_if_it_is_named(
    state: Path, private: PrivateFolders
) -> None:
    allowed = PrivateFolders(private.folders, (state,))
    with pytest.raises(PrivateFileError), open_folder(state, allowed):
        pass


@pytest.mark.parametrize("is_walked", [True, False])
def test_does_not_follow_a_link_in_a_parent_folder(
    is_walked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "IS_WALKED", is_walked and folders.IS_WALKED)
    (tmp_path / "real" / "below").mkdir(parents=True)
    (tmp_path / "real" / "below" / "a.png").write_bytes(b"a")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "link.png").symlink_to("below/a.png")
    for path in (tmp_path / "link" / "below" / "a.png", tmp_path / "real" / "link.png"):
        with pytest.raises(LinkError):
            open_file(path, NOTHING_PRIVATE)
    assert read_file(tmp_path / "real" / "below" / "a.png", 10, NOTHING_PRIVATE) == b"a"


def test_replacing_an_open_folder_with_a_link_does_not_change_it(tmp_path: Path) -> None:
    with open_folder(tmp_path / "out" / "icons", NOTHING_PRIVATE, make=True) as folder:
        (tmp_path / "out").rename(tmp_path / "moved")
        (tmp_path / "outside" / "icons").mkdir(parents=True)
        (tmp_path / "out").symlink_to("outside")
        with folder.create("a.part") as file:
            file.write(b"a")
        folder.replace("a.part", "a.png")
        assert folder.names() == ["a.png"]
        assert folder.read("a.png", 10) == b"a"
    assert list((tmp_path / "outside" / "icons").iterdir()) == []
    assert (tmp_path / "moved" / "icons" / "a.png").read_bytes() == b"a"


def test_does_not_read_a_file_replaced_while_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "PATH_ONLY", 0)
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "secret").write_bytes(b"s")

    def check_and_exchange(_folder: object, _facts: object) -> None:
        os.replace(tmp_path / "secret", tmp_path / "a.png")

    monkeypatch.setattr(folders.OpenFolder, "_check", check_and_exchange)
    with pytest.raises(LinkError):
        open_file(tmp_path / "a.png", NOTHING_PRIVATE)


def test_without_path_walking_a_folder_is_checked_again_after_opening_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "IS_WALKED", False)
    for name in ("in", "outside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"a")

    def check_and_exchange(_folder: object, _facts: object) -> None:
        (tmp_path / "in").rename(tmp_path / "moved")
        (tmp_path / "in").symlink_to("outside")

    monkeypatch.setattr(folders.OpenFolder, "_check", check_and_exchange)
    with pytest.raises(LinkError):
        open_file(tmp_path / "in" / "a.png", NOTHING_PRIVATE)


def test_opens_files_below_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    (tmp_path / "closed" / "in").mkdir(parents=True)
    (tmp_path / "closed" / "in" / "a.png").write_bytes(b"a")
    (tmp_path / "closed").chmod(0o311)
    try:
        assert read_file(tmp_path / "closed" / "in" / "a.png", 10, NOTHING_PRIVATE) == b"a"
    finally:
        (tmp_path / "closed").chmod(0o755)


@pytest.mark.parametrize("path", ["relative", "/tmp/../etc"])
def test_only_a_real_path_is_opened(path: str) -> None:
    with pytest.raises(OSError, match="real path"), open_folder(Path(path), NOTHING_PRIVATE):
        pass


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(NotAFileError):
        open_file(tmp_path / "a.png", NOTHING_PRIVATE)


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a", 5, NOTHING_PRIVATE) == b"12345"
    assert read_file(tmp_path / "a", 4, NOTHING_PRIVATE) is None
