"""layer-mcp doctor as a person runs it, in a home folder of its own, with secrets to keep."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    """What doctor said: its lines by their ids."""

    exit_code: int
    checks: dict[str, dict[str, Any]]

    def state(self, check: str) -> str:
        return self.checks[check]["state"]

    def fact(self, check: str) -> str:
        return self.checks[check]["fact"]

    def fix(self, check: str) -> str:
        return self.checks[check]["fix"]

    def not_ok(self) -> dict[str, str]:
        """The states of the lines that are not as they should be."""
        states = {name: check["state"] for name, check in self.checks.items()}
        return {name: state for name, state in states.items() if state != "ok"}


@dataclass(frozen=True)
class DoctorHome:
    """A home folder, and the environment that doctor finds there."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])
    keyring: Path | None = None

    def json_report(self, *arguments: str, **environment: str) -> Report:
        """The report; no part of a secret is in it or in the log."""
        done = self._home().run("doctor", "--json", *arguments, **environment)
        listed = json.loads(done.stdout)
        assert listed["passed"] == (done.returncode == 0)
        assert shown_parts(done.stdout + done.stderr) == set()
        return Report(done.returncode, {check["id"]: check for check in listed["checks"]})

    def table(self, *arguments: str, **environment: str) -> str:
        """The table; no part of a secret is in it or in the log."""
        done = self._home().run("doctor", *arguments, **environment)
        assert shown_parts(done.stdout + done.stderr) == set()
        return done.stdout

    def _home(self) -> ClientHome:
        return ClientHome(self.folder, self.keyring, self.environment)


def doctor_home(folder: Path, api_url: str, **more: str) -> DoctorHome:
    """A home whose settings are sound, for this API; secrets stand in its environment."""
    proxy = f"http://{PROXY_USER}:{PROXY_PASSWORD}@127.0.0.1:9"
    environment = {
        "LAYER_API_URL": api_url,
        "LAYER_API_KEY": TOKEN,
        "LAYER_LOG_LEVEL": "DEBUG",
        "HTTPS_PROXY": proxy,
        **more,
    }
    return DoctorHome(folder, environment)


def workspaces(*balances: float) -> list[SandboxWorkspace]:
    """Workspaces with these balances in CU."""
    return [
        SandboxWorkspace(f"00000000-0000-4000-8000-0000000000b{number}", f"w{number}", "工房", one)
        for number, one in enumerate(balances)
    ]


def sandbox_state(*balances: float, token: str = TOKEN) -> SandboxState:
    return SandboxState(token=token, workspaces=workspaces(*(balances or (100,))))


def home_of(sandbox: RunningSandbox, folder: Path, **more: str) -> DoctorHome:
    return doctor_home(folder, sandbox.api_url, **more)


def shown_parts(printed: str) -> set[str]:
    """The secrets of which a part can be read in a text."""
    return {
        secret
        for secret in SECRETS
        for start in range(len(secret) - PART_LENGTH + 1)
        if secret[start : start + PART_LENGTH] in printed
    }
