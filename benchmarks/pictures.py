"""The cost of answering about four finished images: the preview, and saving the files."""

import base64
import statistics
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import httpx
from mcp import Client
from mcp.types import CallToolResult, ImageContent, TextContent

from layer_mcp import Inference, InferenceRequest, Settings

from .fixed_costs import json_bytes
from .harness import (
    IMAGE_MODEL_ID,
    QUICK_RUNS,
    call,
    finished_run,
    medians_of,
    mixed_rounds_ms,
    running_sandbox_child,
    stdio_server,
)
from .report import Row, budget_row, byte_count, ms, whole_ms

PICTURES = 4
WARM_UP_ROUNDS = 2
LIMIT_SECONDS = 120
AIM_PICTURE_BYTES = 100_000
AIM_TEXT_BYTES = 10_000


@dataclass(frozen=True)
class ResultSize:
    """Bytes of a result: its text, its structured content as compact JSON, its JPEG."""

    text_bytes: int
    structured_bytes: int
    picture_bytes: int


@dataclass(frozen=True)
class PreviewCost:
    """A get_status call over stdio with the preview and without, as medians of mixed calls.

    The GETs are those of the four files the preview is made of, in parallel and alone. The call
    includes them, but most of their time is the sandbox's, which draws the files anew each time.
    """

    calls: int
    with_preview: ResultSize
    without_preview: ResultSize
    with_preview_median_ms: float
    without_preview_median_ms: float
    gets_median_ms: float
    aim_picture_bytes: int = AIM_PICTURE_BYTES
    aim_text_bytes: int = AIM_TEXT_BYTES


@dataclass(frozen=True)
class SavingCost:
    """First calls about runs of four pictures without a preview, as medians.

    A server that saves and a server that doesn't are asked about each run once.
    """

    runs: int
    saved_bytes_a_run: int
    saving_median_ms: float
    without_saving_median_ms: float


def measure_preview_cost(calls: int) -> PreviewCost:
    """Call the installed server, with a sandbox in another process."""
    with running_sandbox_child(*QUICK_RUNS, limit_seconds=LIMIT_SECONDS) as sandbox:
        return anyio.run(_measure_preview, sandbox.variables, calls)


def measure_saving_cost(runs: int) -> SavingCost:
    """Call two servers, with a sandbox in another process."""
    with (
        running_sandbox_child(*QUICK_RUNS, limit_seconds=LIMIT_SECONDS) as sandbox,
        TemporaryDirectory() as folder,
    ):
        return anyio.run(_measure_saving, sandbox.variables, Path(folder), runs)


def preview_rows(cost: PreviewCost) -> list[Row]:
    """Compare the result's bytes with their budgets, and the time with that of the GETs."""
    added_ms = cost.with_preview_median_ms - cost.without_preview_median_ms
    shown, plain = cost.with_preview, cost.without_preview
    return [
        budget_row(
            f"Result of {PICTURES} images: preview",
            shown.picture_bytes,
            cost.aim_picture_bytes,
            byte_count,
        ),
        budget_row(
            f"Result of {PICTURES} images: text", shown.text_bytes, cost.aim_text_bytes, byte_count
        ),
        _bytes_row("  structured content", shown.structured_bytes),
        _bytes_row("  without preview: text", plain.text_bytes),
        _bytes_row("  without preview: structured content", plain.structured_bytes),
        Row(
            measure="get_status with the preview",
            ours=cost.with_preview_median_ms,
            shown=ms,
            reference=cost.without_preview_median_ms,
            reference_name="without it",
            compared=f"{added_ms:+.0f} ms",
        ),
        Row(
            measure=f"Added by preview of {PICTURES} images",
            ours=added_ms,
            shown=whole_ms,
            reference=cost.gets_median_ms,
            reference_name=f"{PICTURES} GETs alone",
            compared=f"{added_ms - cost.gets_median_ms:+.0f} ms",
            group="time",
        ),
    ]


def saving_rows(cost: SavingCost) -> list[Row]:
    """Compare the first call of a server that saves the files with one that doesn't."""
    added_ms = cost.saving_median_ms - cost.without_saving_median_ms
    return [
        Row(
            measure=f"First call, saves {PICTURES} images",
            ours=cost.saving_median_ms,
            shown=ms,
            reference=cost.without_saving_median_ms,
            reference_name="without saving",
            compared=f"{added_ms:+.1f} ms",
            group="time",
        )
    ]


async def _measure_preview(variables: Mapping[str, str], calls: int) -> PreviewCost:
    run = await _finished_pictures(variables)
    with anyio.fail_after(LIMIT_SECONDS):
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            client = await stack.enter_async_context(Client(stdio_server(variables)))
            kinds = {
                "with": partial(_get_status, client, run, preview=True),
                "without": partial(_get_status, client, run, preview=False),
                "gets": partial(_get_previews, http, run),
            }
            times = await mixed_rounds_ms(kinds, calls, warm_up_rounds=WARM_UP_ROUNDS)
            medians_ms = medians_of(times)
            return PreviewCost(
                calls=calls,
                with_preview=_result_size(await _get_status(client, run, preview=True)),
                without_preview=_result_size(await _get_status(client, run, preview=False)),
                with_preview_median_ms=medians_ms["with"],
                without_preview_median_ms=medians_ms["without"],
                gets_median_ms=medians_ms["gets"],
            )


async def _measure_saving(variables: Mapping[str, str], folder: Path, runs: int) -> SavingCost:
    servers = {
        "saving": stdio_server({**variables, "LAYER_OUTPUT_DIR": str(folder)}),
        "without": stdio_server(variables),
    }
    elapsed_ms: dict[str, list[float]] = {name: [] for name in servers}
    with anyio.fail_after(LIMIT_SECONDS):
        async with AsyncExitStack() as stack:
            clients = {
                name: await stack.enter_async_context(Client(server))
                for name, server in servers.items()
            }
            # The first run doesn't count, because it includes imports and connections.
            for number in range(runs + 1):
                run = await _finished_pictures(variables)
                for name in sorted(clients, reverse=number % 2 == 1):
                    start = time.perf_counter()
                    await _get_status(clients[name], run, preview=False)
                    if number > 0:
                        elapsed_ms[name].append((time.perf_counter() - start) * 1000)
    return SavingCost(
        runs=runs,
        saved_bytes_a_run=_saved_bytes(folder, runs + 1) // (runs + 1),
        saving_median_ms=statistics.median(elapsed_ms["saving"]),
        without_saving_median_ms=statistics.median(elapsed_ms["without"]),
    )


async def _finished_pictures(variables: Mapping[str, str]) -> Inference:
    request = InferenceRequest(
        model_id=IMAGE_MODEL_ID,
        prompt="a red potion in a round bottle",
        batch_size=PICTURES,
        width=1024,
        height=1024,
    )
    return await finished_run(Settings.from_env(variables), request)


async def _get_status(client: Client, run: Inference, *, preview: bool) -> CallToolResult:
    arguments = {"inference_id": run.inference_id, "wait_seconds": 0, "preview": preview}
    return await call(client, "get_status", arguments)


async def _get_previews(http: httpx.AsyncClient, run: Inference) -> None:
    async def get(url: str) -> None:
        (await http.get(url)).raise_for_status()

    async with anyio.create_task_group() as tasks:
        for output in run.outputs:
            tasks.start_soon(get, output.preview_url or "")


def _result_size(result: CallToolResult) -> ResultSize:
    texts = [part.text for part in result.content if isinstance(part, TextContent)]
    pictures = [part.data for part in result.content if isinstance(part, ImageContent)]
    return ResultSize(
        text_bytes=sum(len(text.encode()) for text in texts),
        structured_bytes=json_bytes(result.structured_content),
        picture_bytes=sum(len(base64.b64decode(picture)) for picture in pictures),
    )


def _saved_bytes(folder: Path, runs: int) -> int:
    pictures = list(folder.glob("*.png"))
    if len(pictures) != PICTURES * runs:
        raise RuntimeError(f"{len(pictures)} pictures were saved instead of {PICTURES * runs}.")
    return sum(picture.stat().st_size for picture in pictures)


def _bytes_row(measure: str, size_bytes: int) -> Row:
    return Row(measure=measure, ours=size_bytes, shown=byte_count)
