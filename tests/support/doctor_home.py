"""A home folder with secrets in it, and layer-mcp doctor as a person runs it there."""

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from layer_mcp.doctor.report import format_result
from layer_mcp.doctor.types import CheckResult
from layer_mcp.sandbox import RunningSandbox, SandboxState
from layer_mcp.sandbox.state import SandboxWorkspace

from .client_home import ClientHome

TOKEN = "pat_9fQ2xLr7Wk4ZmT8c"
PROXY_USER = "anna.proxyuser"
PROXY_PASSWORD = "pr0xy%2FS3cret"
SECRETS = (TOKEN, PROXY_USER, PROXY_PASSWORD, "pr0xy/S3cret")
PART_LENGTH = 6
WIDTH = 80


@dataclass(frozen=True)
class Report:
    """What doctor reported: its checks by ID."""

    exit_code: int
    checks: dict[str, dict[str, Any]]

    def state(self, check: str) -> str:
        return self.checks[check]["state"]

    def fact(self, check: str) -> str:
        return self.checks[check]["fact"]

    def fix(self, check: str) -> str:
        return self.checks[check]["fix"]

    def not_ok(self) -> dict[str, str]:
        """Return the states of the checks that aren't ok."""
        states = {id: check["state"] for id, check in self.checks.items()}
        return {id: state for id, state in states.items() if state != "ok"}


@dataclass(frozen=True)
class DoctorHome:
    """A home folder, and the environment that doctor runs in."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])
    keyring: Path | None = None

    def json_report(self, *arguments: str, **environment: str) -> Report:
        """Run doctor --json; neither the report nor the log may contain part of a secret."""
        done = self._home().run("doctor", "--json", *arguments, **environment)
        report = json.loads(done.stdout)
        assert report["passed"] == (done.returncode == 0)
        assert leaked_secrets(done.stdout + done.stderr) == set()
        return Report(done.returncode, {check["id"]: check for check in report["checks"]})

    def table(self, *arguments: str, **environment: str) -> str:
        """Run doctor; neither the table nor the log may contain part of a secret."""
        done = self._home().run("doctor", *arguments, **environment)
        assert leaked_secrets(done.stdout + done.stderr) == set()
        return done.stdout

    def _home(self) -> ClientHome:
        return ClientHome(self.folder, self.keyring, self.environment)


def doctor_home(folder: Path, api_url: str, **environment: str) -> DoctorHome:
    """Return a home with valid settings for this API and with secrets in its environment."""
    proxy = f"http://{PROXY_USER}:{PROXY_PASSWORD}@127.0.0.1:9"
    settings = {
        "LAYER_API_URL": api_url,
        "LAYER_API_KEY": TOKEN,
        "LAYER_LOG_LEVEL": "DEBUG",
        "HTTPS_PROXY": proxy,
    }
    return DoctorHome(folder, settings | environment)


def sandbox_home(sandbox: RunningSandbox, folder: Path, **environment: str) -> DoctorHome:
    return doctor_home(folder, sandbox.api_url, **environment)


def sandbox_state(*balances: float, token: str = TOKEN) -> SandboxState:
    """Return a sandbox with one workspace for each balance, or with one that has 100 CU."""
    workspaces = [
        SandboxWorkspace(
            f"00000000-0000-4000-8000-0000000000b{number}", f"w{number}", "工房", balance
        )
        for number, balance in enumerate(balances or (100,))
    ]
    return SandboxState(token=token, workspaces=workspaces)


def write_client_config(folder: Path, path: str, place: str, entry: dict[str, Any]) -> None:
    """Configure a client whose file is JSON, with the token in its entry."""
    file = folder / path
    file.parent.mkdir(parents=True)
    entry = {**entry, "env": {"LAYER_API_KEY": TOKEN}}
    file.write_text(json.dumps({place: {"layer": entry, "other": {"command": "/gone/other"}}}))


def printed_lines(
    result: CheckResult, encoding: str = "utf-8", columns: int = 2 * WIDTH
) -> list[str]:
    """Return the lines that doctor prints for a result, without colors."""
    console = Console(file=io.StringIO(), width=columns, markup=False)
    with console.capture() as captured:
        console.print(format_result(result, encoding, columns))
    return [line.rstrip() for line in captured.get().splitlines()]


def leaked_secrets(printed: str) -> set[str]:
    """Return the secrets that a text contains at least a part of."""
    return {
        secret
        for secret in SECRETS
        for start in range(len(secret) - PART_LENGTH + 1)
        if secret[start : start + PART_LENGTH] in printed
    }
