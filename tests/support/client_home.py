"""A home folder of a test's own, and layer-mcp as a person runs it there."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .hosts import SCRIPT

ROOT = Path(__file__).parents[2]
NO_KEYRING = "keyring.backends.null.Keyring"


@dataclass(frozen=True)
class AttachHome:
    """A home folder; with a keyring file there is a keyring too."""

    folder: Path
    keyring: Path | None = None
    extra: dict[str, str] = field(default_factory=dict[str, str])

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

    def done(self, *arguments: str, piped: str = "", **environment: str) -> str:
        """What a command prints that succeeds."""
        ended = self.run(*arguments, piped=piped, **environment)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def failed(self, *arguments: str, piped: str = "", **environment: str) -> str:
        """The one line of a command that fails."""
        ended = self.run(*arguments, piped=piped, **environment)
        assert ended.returncode == 1, ended.stdout
        assert ended.stderr.count("\n") == 1
        return ended.stderr
