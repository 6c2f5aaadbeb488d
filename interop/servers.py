"""What a job runs against: its own sandbox and a server with the transport."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layer_mcp.sandbox import Arrival, Knobs, RunningSandbox, SandboxState, running_sandbox

from .clients import Era, Transport
from .environments import ROOT, InteropError
from .job import Job

SERVER = str(Path(sys.executable).with_name("layer-mcp"))
RUN_SECONDS = 1.5
ENDLESS_SECONDS = 3600.0
START_SECONDS = 30
CANCELLED = "a potion that takes its time"
SMALL: dict[str, Any] = {"width": 512, "height": 512, "batch_size": 1}
# Four large images at 0.84 CU, which need approval.
DEAR: dict[str, Any] = {"width": 1024, "height": 1024, "batch_size": 4, "quality": "high"}
CONFIRM_ABOVE = "0.5"
REQUESTS: dict[str, dict[str, Any]] = {
    "generate": SMALL | {"prompt": "a red potion"},
    "nested_arguments": SMALL | {"prompt": "a potion like this one"},
    "confirmation_no": DEAR | {"prompt": "potions that nobody agreed to"},
    "confirmation_yes": DEAR | {"prompt": "potions that a person agreed to"},
    "cancel": SMALL | {"prompt": CANCELLED},
}


@dataclass(frozen=True)
class Place:
    """A job, and the sandbox that receives its runs."""

    job: Job
    sandbox: RunningSandbox

    @property
    def submitted(self) -> Counter[str]:
        """How often each prompt was submitted."""
        return Counter(run.request.prompt or "" for run in self.sandbox.state.runs.values())

    @property
    def polls(self) -> int:
        """How often a run's status was requested."""
        return self.sandbox.state.arrived["get_inference"]


class PatientSandbox(SandboxState):
    """A sandbox where no run ends after the one to cancel starts, so it can't win that race."""

    def record(self, arrival: Arrival) -> None:
        """Count a request."""
        super().record(arrival)
        if CANCELLED.encode() in arrival.body:
            self.knobs.run_seconds = ENDLESS_SECONDS


@contextmanager
def place_for(folder: Path, transport: Transport, era: Era) -> Generator[Place]:
    """Run a sandbox, and a server for HTTP, until the block ends; keep all files in `folder`."""
    with running_sandbox(PatientSandbox(knobs=Knobs(run_seconds=RUN_SECONDS))) as sandbox:
        settings = _environment(folder, sandbox)
        if transport == "stdio":
            yield Place(_job(folder, transport, era, settings, ""), sandbox)
        else:
            with _http_server(settings, folder) as url:
                yield Place(_job(folder, transport, era, settings, url), sandbox)


def _environment(folder: Path, sandbox: RunningSandbox) -> dict[str, str]:
    home, pictures = folder / "home", folder / "pictures"
    home.mkdir(parents=True)
    pictures.mkdir()
    shutil.copy(ROOT / "docs" / "demo.png", pictures / "reference.png")
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "LAYER_API_URL": sandbox.api_url,
        "LAYER_API_KEY": sandbox.token,
        "LAYER_WORKSPACE_ID": sandbox.workspace_id,
        "LAYER_STATE_DIR": str(folder / "state"),
        "LAYER_INPUT_DIRS": str(pictures),
        "LAYER_CONFIRM_ABOVE": CONFIRM_ABOVE,
        "LAYER_TOOLSETS": "all",
    }


def _job(folder: Path, transport: Transport, era: Era, settings: dict[str, str], url: str) -> Job:
    return Job(
        transport=transport,
        era=era,
        command=[SERVER],
        environment=settings,
        url=url,
        picture=str(folder / "pictures" / "reference.png"),
        search="Sandbox Image",
        requests=REQUESTS,
        unknown={"model_id": "any", "promt": "a red potion"},
        refusal="INVALID_ARGUMENTS",
    )


@contextmanager
def _http_server(settings: dict[str, str], folder: Path) -> Generator[str]:
    """Start a server and yield its URL; its stderr goes to a file."""
    command = [SERVER, "serve", "--http", "--port", "0"]
    process = subprocess.Popen(
        command, env=settings, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        url = process.stderr.readline().strip()
        if not url.startswith("http://"):
            raise InteropError(f"The server did not start: {url}\n{process.stderr.read()}")
        yield url
    finally:
        process.terminate()
        _, said = process.communicate(timeout=START_SECONDS)
        (folder / "server.log").write_text(said, encoding="utf-8")
