"""A home folder for a test, layer-mcp run in it, and what a client reads from its files."""

import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from layer_mcp.clients.catalog import CLIENTS, Platform, find_client

from .hosts import SCRIPT

ROOT = Path(__file__).parents[2]
NO_KEYRING = "keyring.backends.null.Keyring"
CLIENT_IDS = [client.id for client in CLIENTS]
# Parsers other than those that edit the files, as a client has its own.
PARSERS: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}


def parse_servers(client: str, text: str) -> dict[str, Any]:
    """Return the servers that a client finds in a text."""
    row = find_client(client)
    return PARSERS[row.format](text)[row.servers_key]


@dataclass(frozen=True)
class ClientHome:
    """A home folder; with a keyring file, there is a keyring too."""

    folder: Path
    keyring: Path | None = None
    extra: dict[str, str] = field(default_factory=dict[str, str])

    def file(self, client: str) -> Path:
        """Return a client's configuration file."""
        return find_client(client).file(Platform("linux", self.folder, {}))

    def entry(self, client: str, name: str = "layer") -> dict[str, Any]:
        """Return our entry as the client reads it."""
        return parse_servers(client, self.file(client).read_text(encoding="utf-8"))[name]

    def keyring_content(self) -> dict[str, str]:
        """Return the stored tokens by service and API address."""
        assert self.keyring is not None
        return json.loads(self.keyring.read_text()) if self.keyring.exists() else {}

    def break_keyring(self, fault: str) -> None:
        """Make every use of the keyring hang (locked) or raise (broken)."""
        assert self.keyring is not None
        self.keyring.with_name(fault).touch()

    def environment(self) -> dict[str, str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.extra}
        if self.keyring is None:
            return environment | {"PYTHON_KEYRING_BACKEND": NO_KEYRING}
        return environment | {
            "PYTHON_KEYRING_BACKEND": "tests.support.file_keyring.FileKeyring",
            "PYTHONPATH": str(ROOT),
            "TEST_KEYRING": str(self.keyring),
        }

    def run(
        self, *arguments: str, piped: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, *arguments],
            capture_output=True,
            text=True,
            input=piped,
            timeout=90,
            check=False,
            cwd=self.folder,
            env=self.environment() | environment,
        )

    def run_ok(self, *arguments: str, piped: str = "", **environment: str) -> str:
        """Run a command that succeeds and return its output."""
        ended = self.run(*arguments, piped=piped, **environment)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def run_failing(self, *arguments: str, piped: str = "", **environment: str) -> str:
        """Run a command that fails and return its one-line error."""
        ended = self.run(*arguments, piped=piped, **environment)
        assert ended.returncode == 1, ended.stdout
        assert ended.stderr.count("\n") == 1
        return ended.stderr


def make_keyring_home(folder: Path, api_url: str) -> ClientHome:
    """Make a home with a keyring, for an API."""
    (folder / "home").mkdir()
    (folder / "keys").mkdir()
    extra = {"LAYER_API_URL": api_url}
    return ClientHome(folder / "home", folder / "keys" / "keyring.json", extra)
