"""What the small picture of a finished run costs: bytes of the result, and time of the call."""

import base64
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import anyio
import httpx
from mcp import Client
from mcp.types import CallToolResult, ImageContent, TextContent

from layer_mcp import Inference, Settings

from .children import running_sandbox_child
from .four_pictures import SANDBOX_KNOBS, four_pictures, get_status, stdio_server
from .interleaved import interleaved_medians_ms
from .list_size import size_bytes

WARM_UP_CALLS = 2
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
    """A get_status call over stdio with the picture and without; medians of mixed calls.

    The GETs are those of the four files that the picture is made of, at once and alone. They count
    in the call, but most of their time is the sandbox's, which draws the files anew each time.
    """

    calls: int
    with_preview: ResultSize
    without_preview: ResultSize
    with_preview_median_ms: float
    without_preview_median_ms: float
    gets_median_ms: float
    aim_picture_bytes: int = AIM_PICTURE_BYTES
    aim_text_bytes: int = AIM_TEXT_BYTES


def measure_preview_cost(calls: int) -> PreviewCost:
    """Call the installed server, beside a sandbox in a process of its own."""
    with running_sandbox_child(*SANDBOX_KNOBS, limit_seconds=LIMIT_SECONDS) as sandbox:
        return anyio.run(_measure, sandbox.variables, calls)


async def _measure(variables: Mapping[str, str], calls: int) -> PreviewCost:
    run = await four_pictures(Settings.from_env(variables))
    with anyio.fail_after(LIMIT_SECONDS):
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            client = await stack.enter_async_context(Client(stdio_server(variables)))

            async def look(*, preview: bool) -> None:
                await get_status(client, run, preview=preview)

            kinds = {
                "with": lambda: look(preview=True),
                "without": lambda: look(preview=False),
                "gets": lambda: _get_previews(http, run),
            }
            medians_ms = await interleaved_medians_ms(kinds, calls, warm_up_calls=WARM_UP_CALLS)
            return PreviewCost(
                calls=calls,
                with_preview=_result_size(await get_status(client, run, preview=True)),
                without_preview=_result_size(await get_status(client, run, preview=False)),
                with_preview_median_ms=medians_ms["with"],
                without_preview_median_ms=medians_ms["without"],
                gets_median_ms=medians_ms["gets"],
            )


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
        structured_bytes=size_bytes(result.structured_content),
        picture_bytes=sum(len(base64.b64decode(picture)) for picture in pictures),
    )
