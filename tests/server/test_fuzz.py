"""Thousands of mangled calls: each gets an answer, nothing is sent, and the server survives."""

import random
from pathlib import Path
from typing import Any

import anyio
import pytest

from layer_mcp.sandbox import RunningSandbox

from ..support.hosts import MEMORY, SMALL_IMAGE, Host, content_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CALLS = {"memory": 3000, "stdio": 2000, "http": 500}
AT_ONCE = 20
JUNK: list[Any] = [
    None,
    "",
    "null",
    "💣" * 50,
    "\x00",
    "../../etc/passwd",
    -1,
    0,
    1e308,
    10**30,
    True,
    [],
    {},
    [[[[]]]],
    {"a": {"b": [None]}},
    '{"file_id": 1}',
    "[" * 500,
    ["x"] * 30,
]


def mangled(chance: random.Random) -> dict[str, Any]:
    """Arguments that are always wrong: the model is a name that Layer does not have."""
    names = [*SMALL_IMAGE, "mask", "guidance_files", "video_effects", "seed", "wait_seconds", "Ω"]
    arguments = {name: chance.choice(JUNK) for name in chance.sample(names, chance.randint(0, 6))}
    return arguments | {"model_id": chance.choice(JUNK)}


async def test_mangled_calls_are_answered_and_never_sent(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    chance = random.Random(20261122)
    codes: set[str] = set()
    async with host.connect(environment) as client:

        async def call(tool: str, arguments: dict[str, Any]) -> None:
            async with at_once:
                result = await client.call_tool(tool, arguments)
            codes.add(content_of(result)["error"]["code"])

        at_once = anyio.Semaphore(AT_ONCE)
        with anyio.fail_after(100):
            async with anyio.create_task_group() as tasks:
                for number in range(CALLS[host.transport]):
                    tool = "get_status" if number % 5 == 0 else "execute_inference"
                    tasks.start_soon(call, tool, mangled(chance))
        assert not (await client.call_tool("execute_inference", SMALL_IMAGE)).is_error
    assert codes == {"INVALID_ARGUMENTS"}
    # The mangled calls look up models' names, at most once a minute.
    del sandbox.state.arrived["list_models"]
    assert sandbox.state.arrived == {"estimate_price": 1, "execute_inference": 1}


def junk_for(schema: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Some of a tool's arguments, each of any kind."""
    names = list(schema["properties"])
    return {name: chance.choice(JUNK) for name in chance.sample(names, min(3, len(names)))}


async def test_no_arguments_crash_a_tool(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    chance = random.Random(20261122)
    codes: set[str] = set()
    settings = environment | {
        "LAYER_TOOLSETS": "all",
        "LAYER_INPUT_DIRS": str(tmp_path),
        "LAYER_OUTPUT_DIR": str(tmp_path / "outputs"),
    }
    async with MEMORY.connect(settings) as client:
        for tool in (await client.list_tools()).tools:
            for _ in range(60):
                arguments = junk_for(tool.input_schema, chance)
                answer = content_of(await client.call_tool(tool.name, arguments))
                codes.add(answer.get("error", {}).get("code", "none"))
    assert "INVALID_ARGUMENTS" in codes
    assert "TOOL_CRASHED" not in codes
    assert not sandbox.state.runs
    assert not sandbox.state.workflow_runs
