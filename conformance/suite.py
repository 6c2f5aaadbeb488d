"""Run the suite's scenarios against our servers, and read the result of each check."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).parent
PROGRAM = FOLDER / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
NODE = Path(sys.executable).with_name("node")
AUTHORIZE = FOLDER / "authorize.mjs"
LAYER_MCP = str(Path(sys.executable).with_name("layer-mcp"))
TASKS_SERVER = [sys.executable, "-m", "conformance.tasks_server"]
RUN_SECONDS = 100
STOP_SECONDS = 30
PARALLEL_RUNS = 3

Status = Literal["SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO"]


class ConformanceError(Exception):
    """The suite couldn't be run."""


@dataclass(frozen=True)
class Check:
    """One check of a scenario, with its result."""

    name: str
    status: Status
    message: str


Results = dict[str, list[Check]]
"""The checks of each scenario."""


@dataclass(frozen=True)
class Server:
    """A running server, and the access token that it needs, if any."""

    url: str
    token: str | None = None


def known_scenarios() -> dict[str, str]:
    """Return every scenario for servers with the revisions it belongs to, or "extension"."""
    listed = _run_suite("list", "--server")
    return dict(re.findall(r"^  - (\S+) \[(.+)\]$", listed, re.MULTILINE))


def run_required(server: Server, revision: str) -> Results:
    """Run the scenarios that a revision of the protocol requires, at that revision.

    Raises:
        ConformanceError: The suite didn't run.
    """
    return _run(server, "--requirements", revision)


def run_scenarios(server: Server, scenarios: list[str]) -> Results:
    """Run each of these scenarios by itself.

    Raises:
        ConformanceError: The suite didn't run.
    """
    with ThreadPoolExecutor(PARALLEL_RUNS) as pool:
        runs = list(pool.map(partial(_run, server, "--scenario"), scenarios))
    return {name: checks for run in runs for name, checks in run.items()}


@contextmanager
def layer_server() -> Generator[Server]:
    """Serve layer-mcp with a sandbox and an empty journal."""
    with (
        tempfile.TemporaryDirectory(prefix="conformance-") as folder,
        _serving_layer(folder) as url,
    ):
        yield Server(url)


@contextmanager
def authenticated_server() -> Generator[Server]:
    """Serve layer-mcp as `layer_server` does, to callers with an access token.

    Raises:
        ConformanceError: The token couldn't be added.
    """
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        file = ["--file", f"{folder}/tokens.toml"]
        add = [LAYER_MCP, "tokens", "add", "conformance", *file]
        done = subprocess.run(add, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
        if done.returncode != 0:
            raise ConformanceError(f"The token was not added: {done.stderr}")
        with _serving_layer(folder, "--tokens-file", file[1]) as url:
            yield Server(url, done.stdout.strip())


@contextmanager
def tasks_server() -> Generator[Server]:
    """Serve the suite's own tools with our tasks extension."""
    with _serving(TASKS_SERVER, dict(os.environ)) as url:
        yield Server(url)


@contextmanager
def _serving_layer(folder: str, *options: str) -> Generator[str]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"LAYER_STATE_DIR": folder, "LAYER_LOG_LEVEL": "CRITICAL"}
    command = [LAYER_MCP, "--sandbox", "serve", "--http", "--port", "0", *options]
    with _serving(command, environment) as url:
        yield url


@contextmanager
def _serving(command: list[str], environment: dict[str, str]) -> Generator[str]:
    """Run a server until the block ends, and yield the URL that it prints on stderr.

    Raises:
        ConformanceError: It printed something else.
    """
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        url = process.stderr.readline().strip()
        if not url.startswith("http://"):
            raise ConformanceError(f"{command[0]} did not start: {url}")
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=STOP_SECONDS)


def _run(server: Server, *options: str) -> Results:
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        arguments = ["server", "--url", server.url, "--output-dir", folder, *options]
        printed = _run_suite(*arguments, token=server.token)
        results = {
            found[1]: _read_checks(place / "checks.json")
            for place in sorted(Path(folder).iterdir())
            if (found := re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.+Z", place.name))
        }
    if not results:
        raise ConformanceError(
            f"The suite ran nothing with {' '.join(options)}:\n{printed[-2000:]}"
        )
    # A scenario that crashes leaves no file, only its line in the summary.
    crashed = set(re.findall(r"^[✓✗] (\S+): ", printed, re.MULTILINE)) - results.keys()
    return results | {name: [Check("ran", "FAILURE", "It crashed.")] for name in crashed}


def _read_checks(file: Path) -> list[Check]:
    checks = json.loads(file.read_text(encoding="utf-8"))
    return [Check(c["id"], c["status"], c.get("errorMessage") or c["name"]) for c in checks]


def _run_suite(*arguments: str, token: str | None = None) -> str:
    """Return what the suite prints. Its exit code says nothing more."""
    authorize = ["--import", str(AUTHORIZE)] if token else []
    try:
        done = subprocess.run(
            [NODE, *authorize, PROGRAM, *arguments],
            env=os.environ | {"NO_COLOR": "1", "CONFORMANCE_TOKEN": token or ""},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConformanceError(f"The suite took over {RUN_SECONDS} s.") from None
    return done.stdout + done.stderr
