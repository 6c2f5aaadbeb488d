"""What a call costs: the time that get_status adds to its GET, and the code that calls enter.

The reference is a tool that does nothing, on an SDK server over the same transport. That time is
spent in the SDK itself, on both ends.
"""

import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import anyio
import httpx
from mcp import Client, StdioServerParameters
from mcp.server.mcpserver import MCPServer

import layer_mcp
from layer_mcp import InferenceRequest, Settings
from layer_mcp.server.app import create_server

from .harness import (
    IMAGE_MODEL_ID,
    QUICK_RUNS,
    Call,
    call,
    call_for_answer,
    finished_run,
    medians_of,
    mixed_rounds_ms,
    running_http_server,
    running_sandbox_child,
    script_command,
    server_command,
    stdio_server,
)
from .report import Row, budget_row, count, ms
from .sdk_server import noop_server

WARM_UP_ROUNDS = 20
LIMIT_SECONDS = 60
MAX_ADDED_OVER_NOOP_MS = 1.0
TRANSPORT_NAMES = {"stdio": "over stdio", "http": "over HTTP", "memory": "in memory"}
PACKAGE = Path(layer_mcp.__file__).parent
SANDBOX = PACKAGE / "sandbox"

Servers = dict[str, MCPServer[Any] | StdioServerParameters | str]
"""What the SDK's client connects to, by transport."""


@dataclass(frozen=True)
class TransportOverhead:
    """Medians over one transport. The overhead is the difference of two medians."""

    get_status_median_ms: float
    get_status_added_ms: float
    noop_tool_median_ms: float


@dataclass(frozen=True)
class CallOverhead:
    """The GET alone, and the calls over each transport."""

    calls: int
    direct_get_median_ms: float
    by_transport: dict[str, TransportOverhead]


@dataclass(frozen=True)
class CodeEntered:
    """The modules and functions of `layer_mcp` that one call enters, and the most it should.

    Those on the event loop are what a reader of the call follows. `all_` includes the worker
    threads, where the journal's SQL runs. Comprehensions aren't functions, and the sandbox isn't
    counted.
    """

    modules: int
    functions: int
    all_modules: int
    all_functions: int
    aim_modules: int
    aim_functions: int


@dataclass
class _Recorder:
    """Records which code threads enter while it's on. Install it before they start."""

    is_on: bool = False
    entered: set[tuple[int, str, str]] = field(default_factory=set[tuple[int, str, str]])

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if self.is_on and event == "call":
            code = frame.f_code
            self.entered.add((threading.get_ident(), code.co_filename, code.co_qualname))

    def take(self, aim_modules: int, aim_functions: int) -> CodeEntered:
        """Return everything recorded so far, and forget it."""
        functions = {
            (thread, file, name)
            for thread, file, name in self.entered
            if PACKAGE in Path(file).parents
            and SANDBOX not in Path(file).parents
            and not name.rpartition(".")[2].startswith("<")
        }
        self.entered.clear()
        on_loop = {one for one in functions if one[0] == threading.get_ident()}
        return CodeEntered(
            modules=len({file for _, file, _ in on_loop}),
            functions=len({(file, name) for _, file, name in on_loop}),
            all_modules=len({file for _, file, _ in functions}),
            all_functions=len({(file, name) for _, file, name in functions}),
            aim_modules=aim_modules,
            aim_functions=aim_functions,
        )


def measure_call_overhead(calls: int) -> CallOverhead:
    """Make each kind of call this many times in mixed order, after some uncounted ones."""
    with (
        running_sandbox_child(*QUICK_RUNS, limit_seconds=LIMIT_SECONDS) as sandbox,
        _layer_servers(sandbox.variables) as layer_servers,
        _noop_servers() as noop_servers,
    ):
        settings = Settings.from_env(sandbox.variables)
        return anyio.run(_measure_overhead, settings, layer_servers, noop_servers, calls)


def measure_code_entered() -> dict[str, CodeEntered]:
    """Trace one call of each tool on a server in this process, after one uncounted call each."""
    with (
        running_sandbox_child(*QUICK_RUNS, limit_seconds=LIMIT_SECONDS) as sandbox,
        TemporaryDirectory() as folder,
    ):
        # An account's journal is measured, in this folder itself.
        settings = Settings.from_env({**sandbox.variables, "LAYER_SANDBOX": "0"})
        recorder = _Recorder()
        threading.setprofile(recorder)
        sys.setprofile(recorder)
        try:
            return anyio.run(_trace_calls, replace(settings, state_dir=folder), recorder)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)


def overhead_rows(overhead: CallOverhead) -> list[Row]:
    """Compare each call with its GET, and its overhead with the tool that does nothing."""
    transports = overhead.by_transport.items()
    return [
        *(_call_row(name, medians, overhead.direct_get_median_ms) for name, medians in transports),
        *(_added_row(name, medians) for name, medians in transports),
    ]


def code_rows(entered: Mapping[str, CodeEntered]) -> list[Row]:
    """Compare the modules and functions that each call enters with their aims."""
    return [row for tool, code in entered.items() for row in _code_rows(tool, code)]


@contextmanager
def _layer_servers(variables: Mapping[str, str]) -> Generator[Servers]:
    over_http = server_command("serve", "--http", "--port", "0")
    with running_http_server(over_http, limit_seconds=LIMIT_SECONDS, variables=variables) as server:
        yield {
            "stdio": stdio_server(variables),
            "http": server.url,
            "memory": create_server(Settings.from_env(variables)),
        }


@contextmanager
def _noop_servers() -> Generator[Servers]:
    command, *arguments = script_command("sdk_server.py", "--noop")
    over_http = [command, *arguments, "--http"]
    with running_http_server(over_http, limit_seconds=LIMIT_SECONDS) as server:
        yield {
            "stdio": StdioServerParameters(command=command, args=arguments),
            "http": server.url,
            "memory": noop_server(),
        }


async def _measure_overhead(
    settings: Settings, layer_servers: Servers, noop_servers: Servers, calls: int
) -> CallOverhead:
    request = InferenceRequest(model_id=IMAGE_MODEL_ID, batch_size=1, width=64, height=64)
    run = await finished_run(settings, request)
    path = f"v1/workspaces/{settings.workspace}/inferences/{run.inference_id}"
    with anyio.fail_after(LIMIT_SECONDS):
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(_direct_http(settings))
            kinds: dict[str, Call] = {"get": partial(_get, http, path)}
            for transport, server in layer_servers.items():
                client = await stack.enter_async_context(Client(server))
                status = _status_arguments(run.inference_id)
                kinds[f"get_status {transport}"] = partial(call, client, "get_status", status)
            for transport, server in noop_servers.items():
                client = await stack.enter_async_context(Client(server))
                kinds[f"noop {transport}"] = partial(call, client, "noop", {})
            times = await mixed_rounds_ms(kinds, calls, warm_up_rounds=WARM_UP_ROUNDS)
    medians_ms = medians_of(times)
    direct_ms = medians_ms["get"]
    return CallOverhead(
        calls=calls,
        direct_get_median_ms=direct_ms,
        by_transport={
            transport: TransportOverhead(
                get_status_median_ms=medians_ms[f"get_status {transport}"],
                get_status_added_ms=medians_ms[f"get_status {transport}"] - direct_ms,
                noop_tool_median_ms=medians_ms[f"noop {transport}"],
            )
            for transport in layer_servers
        },
    )


async def _trace_calls(settings: Settings, recorder: _Recorder) -> dict[str, CodeEntered]:
    entered: dict[str, CodeEntered] = {}
    async with Client(create_server(settings)) as client:
        # The first round's code is discarded.
        for prompt in ("a red potion", "a blue potion"):
            arguments = {
                "model_id": IMAGE_MODEL_ID,
                "prompt": prompt,
                "batch_size": 1,
                "width": 64,
                "height": 64,
            }
            recorder.is_on = True
            run = await call_for_answer(client, "execute_inference", arguments)
            recorder.is_on = False
            entered["execute_inference"] = recorder.take(aim_modules=25, aim_functions=90)
            recorder.is_on = True
            await call(client, "get_status", {"inference_id": run["inference_id"]})
            recorder.is_on = False
            entered["get_status"] = recorder.take(aim_modules=18, aim_functions=70)
    return entered


def _direct_http(settings: Settings) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {settings.api_token}"}
    return httpx.AsyncClient(base_url=settings.api_url, headers=headers, trust_env=False)


async def _get(http: httpx.AsyncClient, path: str) -> None:
    (await http.get(path)).raise_for_status()


def _status_arguments(inference_id: str) -> dict[str, Any]:
    # A preview would cost more GETs.
    return {"inference_id": inference_id, "wait_seconds": 0, "preview": False}


def _call_row(transport: str, medians: TransportOverhead, direct_get_ms: float) -> Row:
    return Row(
        measure=f"get_status {TRANSPORT_NAMES[transport]}",
        ours=medians.get_status_median_ms,
        shown=ms,
        reference=direct_get_ms,
        reference_name="its GET alone",
        compared=f"{medians.get_status_added_ms:+.1f} ms",
    )


def _added_row(transport: str, medians: TransportOverhead) -> Row:
    over_noop_ms = medians.get_status_added_ms - medians.noop_tool_median_ms
    has_aim = transport == "stdio"
    return Row(
        measure=f"Added to the GET {TRANSPORT_NAMES[transport]}",
        ours=medians.get_status_added_ms,
        shown=ms,
        reference=medians.noop_tool_median_ms,
        reference_name="no-op tool, SDK alone",
        compared=f"{over_noop_ms:+.1f} ms",
        aim=f"at most +{MAX_ADDED_OVER_NOOP_MS:.1f} ms" if has_aim else "",
        is_met=over_noop_ms <= MAX_ADDED_OVER_NOOP_MS if has_aim else None,
        group="time",
    )


def _code_rows(tool: str, code: CodeEntered) -> list[Row]:
    return [
        budget_row(f"{tool}: modules", code.modules, code.aim_modules, count),
        budget_row(f"{tool}: functions", code.functions, code.aim_functions, count),
        Row(measure="  with worker threads: modules", ours=code.all_modules, shown=count),
        Row(measure="  with worker threads: functions", ours=code.all_functions, shown=count),
    ]
