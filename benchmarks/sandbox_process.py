"""A sandbox in a process of its own, so that its work is not counted as the server's.

Prints a line of JSON with its address and token, and serves until stdin closes. Each line on stdin
is a number of runs to start; the answer is a line of JSON with their ids. In the end it prints a
line of JSON with the number of requests that arrived for each operation, and one with the time that
each run had left when it was first looked at.
"""

import argparse
import json
import sys

from layer_mcp import InferenceRequest
from layer_mcp.sandbox import Knobs, SandboxState, running_sandbox

from .large_files import LargeFilesSandbox
from .polled_sandbox import PolledSandbox

# The benchmarks keep to Layer's limits where a server starts the runs; most start them otherwise.
MAX_RUNS = 100_000
BALANCE_CREATIVE_UNITS = 1_000_000.0
# Its file is copied, not drawn, so runs that end at once do not keep the sandbox busy.
VIDEO_MODEL_ID = "00000000-0000-4000-8000-000000000003"


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
    with running_sandbox(state) as sandbox:
        address = {
            "LAYER_API_URL": sandbox.api_url,
            "LAYER_API_KEY": sandbox.token,
            "LAYER_WORKSPACE_ID": sandbox.workspace_id,
            "LAYER_SANDBOX": "1",
        }
        print(json.dumps(address), flush=True)
        for line in sys.stdin:
            print(json.dumps(_start(state, int(line))), flush=True)
        print(json.dumps(state.arrived), flush=True)
        remaining_seconds = state.remaining_seconds if isinstance(state, PolledSandbox) else {}
        print(json.dumps(remaining_seconds), flush=True)


def _start(state: SandboxState, runs: int) -> list[str]:
    """The ids of new runs of the video model."""
    model = next(model for model in state.models if model.model_id == VIDEO_MODEL_ID)
    request = InferenceRequest(model_id=VIDEO_MODEL_ID, prompt="a red potion", batch_size=1)
    return [state.submit(state.workspaces[0], model, request, []).inference_id for _ in range(runs)]


def _state(options: argparse.Namespace) -> SandboxState:
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


if __name__ == "__main__":
    main()
