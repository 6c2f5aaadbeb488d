"""A client's configuration file as it is read: never more of it than a limit."""

import os
from pathlib import Path

import pytest

from layer_mcp.clients import config_file
from layer_mcp.clients.config_file import read_backup, read_config, replace_config
from layer_mcp.clients.errors import ClientConfigError

TERABYTE = 1 << 40


def sparse(path: Path) -> Path:
    """Make a file of a terabyte that takes no room on the disk."""
    path.touch()
    os.truncate(path, TERABYTE)
    return path


def test_a_file_that_grows_as_it_is_opened_is_read_up_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mcp.json"
    path.write_text("{}")

    def lexists_and_grow(_path: Path) -> bool:
        os.truncate(path, TERABYTE)
        return True

    file = read_config(path)
    monkeypatch.setattr(config_file.os.path, "lexists", lexists_and_grow)
    with pytest.raises(ClientConfigError, match="File too large"):
        replace_config(file, b"{}", backup=False)


def test_ignores_a_backup_of_a_terabyte(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text("{}")
    file = read_config(tmp_path / "mcp.json")
    sparse(file.backup)
    assert read_backup(file) is None


def test_keeps_a_large_file_created_in_the_meantime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_file, "MAX_BYTES", 3)
    file = read_config(tmp_path / "mcp.json")
    file.target.write_text("{   }")
    with pytest.raises(ClientConfigError, match="File too large"):
        replace_config(file, b"{}", backup=False)
    assert file.target.read_text() == "{   }"
