"""The demo: what an MCP host does with the server, from start to a picture on disk."""

import re
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx
from mcp import Client, MCPError, StdioServerParameters
from mcp.types import CallToolResult
from tqdm import tqdm

from .sandbox.catalog import sandbox_models
from .sandbox.files import slug_of

WAIT_SECONDS = 25
MAX_WAITS = 4


class DemoError(Exception):
    """The demo did not get its picture."""


def run_demo(prompt: str, folder: Path) -> None:
    """Start the server as a child over stdio, generate one picture and save it.

    Raises:
        DemoError: the server, the run or the download failed.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    anyio.run(_generate, prompt, folder)


async def _generate(prompt: str, folder: Path) -> None:
    host = StdioServerParameters(
        command=sys.executable, args=["-m", "layer_mcp", "--sandbox"], env={"PYTHONUTF8": "1"}
    )
    failure: Exception | None = None
    async with Client(host) as client:
        # The client's task group would wrap what leaves this block in an ExceptionGroup.
        try:
            await _make_picture(client, prompt, folder)
        except (DemoError, MCPError, httpx.HTTPError, OSError) as error:
            failure = error
    if failure is not None:
        raise DemoError(str(failure)) from failure


async def _make_picture(client: Client, prompt: str, folder: Path) -> None:
    print("Started layer-mcp over stdio with a simulated Layer.")
    call = {"model_id": sandbox_models()[0].model_id, "prompt": prompt, "batch_size": 1}
    started = _content(await client.call_tool("execute_inference", call))
    print(f'Started "{prompt}": {started["estimated_price_creative_units"]:g} CU (simulated).')
    finished = await _wait(client, started["inference_id"])
    await _save(finished, slug_of(prompt), folder)


async def _wait(client: Client, inference_id: str) -> dict[str, Any]:
    call = {"inference_id": inference_id, "wait_seconds": WAIT_SECONDS}
    bar_format = "|{bar:30}| {desc}"
    with tqdm(total=1.0, desc="waiting", bar_format=bar_format, file=sys.stdout) as bar:

        async def show(progress: float, total: float | None, message: str | None) -> None:
            done = min(progress / total, 0.95) if total else 0.0
            bar.set_description_str(message or "waiting", refresh=False)
            bar.update(max(done - bar.n, 0))

        for _ in range(MAX_WAITS):
            result = await client.call_tool("get_status", call, progress_callback=show)
            run = _content(result)
            if run["status"] != "in_progress":
                bar.set_description_str(f"run is {run['status']}", refresh=False)
                bar.update(1.0 - bar.n)
                break
        else:
            raise DemoError("The run did not end in time.")
    return run


async def _save(run: dict[str, Any], slug: str, folder: Path) -> None:
    if run["status"] != "complete":
        raise DemoError(f"The run is {run['status']}: {run.get('error')}")
    async with httpx.AsyncClient(trust_env=False) as http:
        for number, output in enumerate(run["outputs"], 1):
            answer = await http.get(output["url"])
            if answer.is_error:
                raise DemoError(f"The file answered HTTP {answer.status_code}.")
            extension = re.sub(r"[^a-z0-9]", "", output["url"].rpartition(".")[2])
            path = folder / f"{slug}-{run['inference_id'][:8]}-{number}.{extension}"
            path.write_bytes(answer.content)
            size = f"{output['width']}x{output['height']}, {len(answer.content) / 1000:.0f} KB"
            print(f"Saved {path} ({size}).")


def _content(result: CallToolResult) -> dict[str, Any]:
    if result.is_error or not result.structured_content:
        texts = [block.text for block in result.content if block.type == "text"]
        raise DemoError(" ".join(" ".join(texts).split()))
    return result.structured_content
