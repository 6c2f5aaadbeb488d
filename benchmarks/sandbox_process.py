"""A sandbox in a process of its own, so that its work is not counted as the server's.

Prints a line of JSON with its address and token, serves until stdin closes, then prints a line of
JSON with the number of requests that arrived for each operation.
"""

import argparse
import json
import sys

from layer_mcp.sandbox import Knobs, SandboxState, running_sandbox

from .large_files import LargeFilesSandbox

MAX_RUNS_AT_ONCE = 1000
BALANCE_CREATIVE_UNITS = 1_000_000.0


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
        sys.stdin.read()
        print(json.dumps(state.arrived), flush=True)


def _state(options: argparse.Namespace) -> SandboxState:
    knobs = Knobs(
        run_seconds=options.run_seconds,
        poll_interval_seconds=options.poll_interval_seconds,
        max_runs_at_once=MAX_RUNS_AT_ONCE,
    )
    if options.output_bytes:
        state = LargeFilesSandbox(knobs=knobs, output_sizes_bytes=tuple(options.output_bytes))
    else:
        state = SandboxState(knobs=knobs)
    state.workspaces[0].balance_creative_units = BALANCE_CREATIVE_UNITS
    return state


if __name__ == "__main__":
    main()
