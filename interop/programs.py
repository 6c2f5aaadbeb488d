"""Run a client's program, and check its report."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from .clients import Client, Era, Transport
from .environments import ROOT, program_of
from .job import NOT_OFFERED, WORKED
from .servers import REQUESTS, Place, place_for

PROGRAM_SECONDS = 420
JOB_STEPS = (
    "list_tools",
    "find_model",
    "price",
    "generate",
    "wait",
    "save",
    "list_runs",
    "nested_arguments",
    "failing_call",
    "confirmation_no",
    "confirmation_yes",
)
EXTRA_STEPS = ("progress", "resources", "prompts", "cancel")
REPORT_KEYS = {"client", "version", "protocol", "transport", "confirmation", "steps"}


@dataclass(frozen=True)
class Result:
    """One run of one program: its report, and any problems."""

    report: dict[str, Any]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Attempt:
    """One client over one transport; without an `era`, the client chooses."""

    client: Client
    transport: Transport
    era: Era

    def __str__(self) -> str:
        return f"{self.client.folder} over {self.transport} ({self.era})"


def attempts_of(client: Client) -> list[Attempt]:
    """Return each of the client's transports in each of its eras."""
    eras: tuple[Era, ...] = client.eras or ("modern",)
    return [Attempt(client, transport, era) for transport in client.transports for era in eras]


def run(attempt: Attempt) -> Result:
    """Run a client's program once, against its own sandbox.

    Raises:
        InteropError: the server doesn't start.
    """
    with tempfile.TemporaryDirectory(prefix="interop-") as name:
        folder = Path(name)
        with place_for(folder, attempt.transport, attempt.era) as place:
            report, complaint = _report_of(program_of(attempt.client), place, folder)
        if not report:
            return Result({}, (f"{attempt}: no report. {complaint}",))
        problems = [*problems_of(report, attempt.client), *miscounted(report, place)]
        return Result(report, tuple(f"{attempt}: {problem}" for problem in problems))


def problems_of(report: dict[str, Any], client: Client) -> list[str]:
    """Return the problems in a report: failed, missing, or unknown steps."""
    if report.keys() != REPORT_KEYS:
        return [f"the report has {sorted(report)}"]
    steps = cast("dict[str, str]", report["steps"])
    needed = {*JOB_STEPS, *client.checks}
    known = needed | {*EXTRA_STEPS}
    problems = [f"{name}: {how}" for name, how in steps.items() if how not in (WORKED, NOT_OFFERED)]
    problems += [f"{name} has to work" for name in needed if steps.get(name) == NOT_OFFERED]
    problems += [f"{name} is missing" for name in sorted(known - steps.keys())]
    return problems + [f"{name} is no step" for name in sorted(steps.keys() - known)]


def miscounted(report: dict[str, Any], place: Place) -> list[str]:
    """Return the problems with the sandbox's counts: each requested run once, and no others."""
    steps = report["steps"]
    wanted = {
        request["prompt"]: 1
        for step, request in REQUESTS.items()
        if steps.get(step) == WORKED and step != "confirmation_no"
    }
    problems = [] if place.submitted == wanted else [f"submitted {dict(place.submitted)}"]
    return problems + ([] if place.polls else ["no status was asked for"])


def _report_of(program: list[str], place: Place, folder: Path) -> tuple[dict[str, Any], str]:
    """Return the last line that a program printed, or else its whole output."""
    job = folder / "job.json"
    job.write_text(json.dumps(asdict(place.job)), encoding="utf-8")
    try:
        done = subprocess.run(
            [*program, str(job)],
            cwd=ROOT,
            env=_environment(folder),
            capture_output=True,
            text=True,
            timeout=PROGRAM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {}, f"It took over {PROGRAM_SECONDS} s."
    lines = done.stdout.strip().splitlines()
    try:
        return json.loads(lines[-1]), ""
    except (IndexError, ValueError):
        return {}, (done.stdout + done.stderr)[-4000:]


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment without access to other machines."""
    nowhere = "http://127.0.0.1:9"
    # Programs must start the project's Node, not the machine's.
    beside = Path(sys.executable).parent
    return {
        "PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', '')}",
        "HOME": str(folder / "home"),
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "NO_PROXY": "127.0.0.1,localhost",
    }
