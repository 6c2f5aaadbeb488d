"""Fixtures of the command line's tests."""

from pathlib import Path

import pytest

from ..support.terminal import Person


@pytest.fixture
def person(environment: dict[str, str], tmp_path: Path) -> Person:
    """A person in an empty folder, with the sandbox in the environment."""
    folder = tmp_path / "here"
    folder.mkdir()
    return Person(folder, environment)
