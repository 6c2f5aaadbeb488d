"""A keyring for tests that keeps its passwords in the file that TEST_KEYRING names.

A file named `locked` next to it makes every call hang; one named `broken` makes it raise.
"""

import json
import os
import threading
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class FileKeyring(KeyringBackend):
    """Passwords by service and user name."""

    priority = 5  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    name = "Test keyring"  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        passwords = {**self._read(), f"{service} {username}": password}
        self._file().write_text(json.dumps(passwords))

    def delete_password(self, service: str, username: str) -> None:
        passwords = self._read()
        if passwords.pop(f"{service} {username}", None) is None:
            raise PasswordDeleteError
        self._file().write_text(json.dumps(passwords))

    def _read(self) -> dict[str, str]:
        if self._file().with_name("locked").exists():
            threading.Event().wait()
        if self._file().with_name("broken").exists():
            raise RuntimeError("a secret in a message")
        return json.loads(self._file().read_text()) if self._file().exists() else {}

    def _file(self) -> Path:
        return Path(os.environ["TEST_KEYRING"])
