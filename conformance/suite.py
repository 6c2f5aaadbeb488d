"""Running the suite's scenarios, and reading what each of their checks came to."""

import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from .servers import ConformanceError

FOLDER = Path(__file__).parent
PROGRAM = FOLDER / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
NODE = Path(sys.executable).with_name("node")
RUN_SECONDS = 100
AT_ONCE = 3

Status = Literal["SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO"]


@dataclass(frozen=True)
class Check:
    """One thing that a scenario looked at."""

    name: str
    status: Status
    message: str


Results = dict[str, list[Check]]


def known_scenarios() -> dict[str, str]:
    """Every scenario for servers, with the revisions that it belongs to, or "extension"."""
    listed = _suite("list", "--server")
    return dict(re.findall(r"^  - (\S+) \[(.+)\]$", listed, re.MULTILINE))


def required(url: str, revision: str) -> Results:
    """What the scenarios of a revision of the protocol came to, at that revision.

    Raises:
        ConformanceError: the suite did not run.
    """
    return _run(url, "--requirements", revision)


def single(url: str, scenarios: list[str]) -> Results:
    """What some scenarios came to, each run by itself.

    Raises:
        ConformanceError: the suite did not run.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = list(pool.map(partial(_run, url, "--scenario"), scenarios))
    return {name: checks for run in runs for name, checks in run.items()}


def _run(url: str, *options: str) -> Results:
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        said = _suite("server", "--url", url, "--output-dir", folder, *options)
        results = {
            found[1]: _checks(place / "checks.json")
            for place in sorted(Path(folder).iterdir())
            if (found := re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.+Z", place.name))
        }
    if not results:
        raise ConformanceError(f"The suite ran nothing with {' '.join(options)}:\n{said[-2000:]}")
    # A scenario that crashes leaves no file, only its line in the summary.
    crashed = set(re.findall(r"^[✓✗] (\S+): ", said, re.MULTILINE)) - results.keys()
    return results | {name: [Check("ran", "FAILURE", "It crashed.")] for name in crashed}


def _checks(file: Path) -> list[Check]:
    checks = json.loads(file.read_text(encoding="utf-8"))
    return [Check(c["id"], c["status"], c.get("errorMessage") or c["name"]) for c in checks]


def _suite(*arguments: str) -> str:
    """What the suite prints; its exit code says only what its checks say."""
    try:
        done = subprocess.run(
            [NODE, PROGRAM, *arguments],
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConformanceError(f"The suite took over {RUN_SECONDS} s.") from None
    return done.stdout + done.stderr
