"""layer-mcp demo: make one image in a sandbox, as an MCP host would."""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import CallToolResult

from ..sandbox.catalog import sandbox_models
from .parser import EXIT_FAILED, EXIT_OK
from .screen.output import open_screen, progress_bar

WAIT_SECONDS = 25
MAX_WAITS = 4


class DemoError(Exception):
    """The server, the run, or the download failed."""


def demo(prompt: str, folder: Path) -> int:
    """Start the server as a child over stdio, generate one image, and save it to a folder.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A separate journal, so that the same demo makes another picture each time.
    with TemporaryDirectory(prefix="layer-mcp-demo-", ignore_cleanup_errors=True) as state:
        try:
            anyio.run(_generate, prompt, str(folder.absolute()), state)
        except DemoError as error:
            print(f"layer-mcp: {error}", file=sys.stderr)
            return EXIT_FAILED
    return EXIT_OK


async def _generate(prompt: str, folder: str, state: str) -> None:
    host = StdioServerParameters(
        command=sys.executable,
        args=["-m", "layer_mcp", "--sandbox"],
        env={"PYTHONUTF8": "1", "LAYER_OUTPUT_DIR": folder, "LAYER_STATE_DIR": state},
    )
    failure: DemoError | None = None
    async with Client(host) as client:
        # The client would wrap an error that leaves this block in an ExceptionGroup.
        try:
            await _make_image(client, prompt)
        except DemoError as error:
            failure = error
        except (MCPError, OSError) as error:
            failure = DemoError(f"Can't reach the server ({type(error).__name__}).")
    if failure is not None:
        raise failure


async def _make_image(client: Client, prompt: str) -> None:
    print("Started layer-mcp over stdio with a simulated Layer.")
    call = {"model_id": sandbox_models()[0].model_id, "prompt": prompt, "batch_size": 1}
    started = _content(await client.call_tool("execute_inference", call))
    print(f'Started "{prompt}": {started["estimated_price_creative_units"]:g} CU (simulated).')
    finished = await _wait(client, started["inference_id"])
    _print_outputs(finished)


async def _wait(client: Client, inference_id: str) -> dict[str, Any]:
    call = {"inference_id": inference_id, "wait_seconds": WAIT_SECONDS}
    with progress_bar(open_screen().stderr) as bar:

        async def show(progress: float, total: float | None, message: str | None) -> None:
            bar.update(progress, total, message or "waiting")

        for _ in range(MAX_WAITS):
            bar.start_phase("waiting")
            run = _content(await client.call_tool("get_status", call, progress_callback=show))
            if run["status"] != "in_progress":
                break
        else:
            raise DemoError("The run didn't end in time.")
    print(f"The run is {run['status']}.")
    return run


def _print_outputs(run: dict[str, Any]) -> None:
    if run["status"] != "complete":
        raise DemoError(f"The run is {run['status']}: {run.get('error')}")
    for output in run["outputs"]:
        if "path" not in output:
            raise DemoError(run.get("warning", "The image wasn't saved."))
        size = f"{output['width']}x{output['height']}, {output['file_size_bytes'] / 1000:.0f} KB"
        print(f"Saved {os.path.relpath(output['path'])} ({size}).")


def _content(result: CallToolResult) -> dict[str, Any]:
    if result.is_error or not result.structured_content:
        texts = [block.text for block in result.content if block.type == "text"]
        raise DemoError(" ".join(" ".join(texts).split()))
    return result.structured_content
