"""A sandbox in its own process, so that its work isn't counted as the server's.

Prints a line of JSON with its URL and token, and serves until stdin closes. Each line on stdin is a
number of runs to start; the answer is a line of JSON with their IDs. At the end it prints a line of
JSON with the number of requests by operation, and one with the time that each run had left at its
first poll.
"""

import argparse
import json
import os
import sys
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from uuid import uuid4

from layer_mcp import InferenceRequest
from layer_mcp.sandbox import Knobs, SandboxState, running_sandbox
from layer_mcp.sandbox.catalog import SandboxModel
from layer_mcp.sandbox.state import Arrival, Run, SandboxWorkspace, StoredFile, UploadSession

# The server enforces Layer's limits itself, and runs started without a server need none.
MAX_RUNS = 100_000
BALANCE_CREATIVE_UNITS = 1_000_000.0
# Its file is copied, not drawn, so runs that end immediately don't keep the sandbox busy.
VIDEO_MODEL_ID = "00000000-0000-4000-8000-000000000003"
CONTENT_TYPE = "audio/wav"


@dataclass
class PolledSandbox(SandboxState):
    """A sandbox that records how much time each run had left at its first poll."""

    remaining_seconds: dict[str, float] = field(default_factory=dict[str, float])

    def record(self, arrival: Arrival) -> None:
        """Record a request."""
        super().record(arrival)
        run_id = arrival.path.rpartition("/")[2]
        run = self.runs.get(run_id) if arrival.operation == "get_inference" else None
        if run is not None and run_id not in self.remaining_seconds:
            ends_at = run.submitted_at + self.knobs.run_seconds
            self.remaining_seconds[run_id] = ends_at - self.clock()


@dataclass
class LargeFilesSandbox(PolledSandbox):
    """A sandbox for transfers: every run makes one file of each size, and uploads aren't kept."""

    output_sizes_bytes: tuple[int, ...] = ()

    def submit(
        self,
        workspace: SandboxWorkspace,
        model: SandboxModel,
        request: InferenceRequest,
        references: list[StoredFile],
    ) -> Run:
        """Start a run whose files already exist."""
        run = super().submit(workspace, model, request, references)
        run.outputs = self.store_files(
            [_noise(run.workspace_id, size_bytes) for size_bytes in self.output_sizes_bytes]
        )
        return run

    def store_upload(self, session: UploadSession) -> None:
        """Drop the bytes of a complete upload, so that many of them don't fill the memory."""
        session.received.clear()


def main() -> None:
    """Serve until stdin closes."""
    parser = argparse.ArgumentParser(description="A sandbox with raised limits.")
    parser.add_argument("--run-seconds", type=float, required=True)
    parser.add_argument("--poll-interval-seconds", type=int, required=True)
    parser.add_argument(
        "--output-bytes",
        type=int,
        nargs="+",
        metavar="N",
        help="every run makes files of these sizes; uploads are not kept",
    )
    state = _state(parser.parse_args())
    with running_sandbox(state) as sandbox, TemporaryDirectory() as folder:
        address = {
            "LAYER_API_URL": sandbox.api_url,
            "LAYER_API_KEY": sandbox.token,
            "LAYER_WORKSPACE_ID": sandbox.workspace_id,
            "LAYER_SANDBOX": "1",
            "LAYER_STATE_DIR": folder,
        }
        print(json.dumps(address), flush=True)
        for line in sys.stdin:
            print(json.dumps(_start_runs(state, int(line))), flush=True)
        print(json.dumps(state.arrived), flush=True)
        print(json.dumps(state.remaining_seconds), flush=True)


def _state(options: argparse.Namespace) -> PolledSandbox:
    knobs = Knobs(
        run_seconds=options.run_seconds,
        poll_interval_seconds=options.poll_interval_seconds,
        max_runs_at_once=MAX_RUNS,
        max_runs_a_minute=MAX_RUNS,
        max_video_runs_a_minute=MAX_RUNS,
    )
    if options.output_bytes:
        state = LargeFilesSandbox(knobs=knobs, output_sizes_bytes=tuple(options.output_bytes))
    else:
        state = PolledSandbox(knobs=knobs)
    state.workspaces[0].balance_creative_units = BALANCE_CREATIVE_UNITS
    return state


def _start_runs(state: SandboxState, count: int) -> list[str]:
    model = next(model for model in state.models if model.model_id == VIDEO_MODEL_ID)
    request = InferenceRequest(model_id=VIDEO_MODEL_ID, prompt="a red potion", batch_size=1)
    workspace = state.workspaces[0]
    return [state.submit(workspace, model, request, []).inference_id for _ in range(count)]


def _noise(workspace_id: str, size_bytes: int) -> StoredFile:
    file_id = str(uuid4())
    data = os.urandom(size_bytes)
    return StoredFile(file_id, workspace_id, f"{file_id}.wav", CONTENT_TYPE, data)


if __name__ == "__main__":
    main()
