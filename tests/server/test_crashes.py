"""A server that is killed during a paid call: what the next one knows, and what it pays for."""

import multiprocessing
import os
import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from layer_mcp.runs.types.run import Run
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.crashing_call import ANSWERED, READY, call_and_wait
from ..support.hosts import MEMORY, SMALL_IMAGE, content_of, error_code
from ..support.journals import list_runs
from ..support.sandbox_calls import api_of
from .test_stdio_process import child

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.name == "nt", reason="needs fork and SIGKILL"),
    pytest.mark.process,
    pytest.mark.slow,
]

CHUNKS = 10
KILLS_A_CHUNK = 10
SCRIPT_CHUNKS = 3
SCRIPT_KILLS_A_CHUNK = 5
WAIT_SECONDS = 20
# Without any, kills fall on the moments of a call as they are; with some, also on retries.
FAULTS: list[Fault | None] = [
    None,
    None,
    None,
    Fault("slow", delay_seconds=0.05),
    Fault("status", status=503, code="SERVICE_UNAVAILABLE"),
    Fault("drop"),
    Fault("drop", accepted=True),
    Fault("cut"),
]

multiprocessing.set_forkserver_preload([call_and_wait.__module__])


@dataclass(frozen=True)
class Scene:
    """A separate sandbox and folder for each crash."""

    sandbox: RunningSandbox
    environment: dict[str, str]
    folder: Path

    def settings(self, number: int) -> dict[str, str]:
        return self.environment | {"LAYER_STATE_DIR": str(self.folder / str(number))}

    async def rows(self, number: int) -> list[Run]:
        """What a server that starts now finds in the journal."""
        return await list_runs(self.settings(number))

    def runs(self, prompt: str) -> list[str]:
        """The runs that the sandbox accepted."""
        runs = list(self.sandbox.state.runs.values())
        return [run.inference_id for run in runs if run.request.prompt == prompt]


@pytest.fixture
def scene(sandbox: RunningSandbox, environment: dict[str, str], tmp_path: Path) -> Scene:
    sandbox.state.knobs.max_runs_a_minute = 1_000
    return Scene(sandbox, environment, tmp_path / "crashes")


@contextmanager
def forked_call(environment: dict[str, str], call: dict[str, Any]) -> Generator[Any]:
    """The pipe of a process that begins a call; it is killed at the end of the block."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=call_and_wait, args=(environment, call, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        assert ours.poll(WAIT_SECONDS)
        assert ours.recv() == READY
        yield ours
    finally:
        process.kill()
        process.join(WAIT_SECONDS)
        process.close()
        ours.close()


def seconds_of_a_call(scene: Scene) -> float:
    """How long a call takes that nothing disturbs."""
    with forked_call(scene.settings(-1), SMALL_IMAGE | {"prompt": "undisturbed"}) as pipe:
        began = time.monotonic()
        assert pipe.poll(WAIT_SECONDS)
        assert pipe.recv() == ANSWERED
        return time.monotonic() - began


def wait_until(happened: Callable[[], bool]) -> None:
    """Check repeatedly while the sandbox continues in its own thread."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def wait_for_a_moment(scene: Scene, chance: random.Random, whole_seconds: float) -> None:
    """Any moment of a call that has just begun; mostly one after its price was asked for."""
    arrived = scene.sandbox.state.arrived
    if chance.random() < 0.3:
        time.sleep(chance.uniform(0, whole_seconds))
        return
    before = arrived["estimate_price"]
    wait_until(lambda: arrived["estimate_price"] > before)
    time.sleep(chance.uniform(0, 0.6 * whole_seconds))


def wait_for_what_was_sent(scene: Scene, refused: int) -> None:
    """Let the sandbox do what a killed process had sent it."""
    with api_of(scene.sandbox) as api:
        for _ in range(2):
            api.get("/models")
    state = scene.sandbox.state
    wait_until(lambda: state.arrived["execute_inference"] - refused <= len(state.runs))


async def check_what_the_next_server_knows(scene: Scene, number: int, prompt: str) -> str:
    """Compare the journal with what the sandbox received; how the submission went."""
    rows, runs = await scene.rows(number), scene.runs(prompt)
    assert len(rows) <= 1
    assert len(runs) <= len(rows)
    if not rows:
        return "nothing written"
    [row] = rows
    assert row.state in ("in_progress", "unknown", "not_sent")
    assert (row.state == "in_progress") == (row.run_id is not None)
    if row.state == "in_progress":
        assert runs == [row.run_id]
    if row.state == "not_sent":
        assert runs == []
    return row.state


async def check_that_the_call_is_safe_to_repeat(
    scene: Scene, number: int, prompt: str, state: str
) -> None:
    before = scene.runs(prompt)
    async with MEMORY.connect(scene.settings(number)) as client:
        again = await client.call_tool("execute_inference", SMALL_IMAGE | {"prompt": prompt})
    content = content_of(again)
    if state == "in_progress":
        assert [content["inference_id"]] == before == scene.runs(prompt)
        assert content["duplicate"] is True
    elif state == "unknown":
        assert error_code(again) == "OUTCOME_UNKNOWN"
        assert scene.runs(prompt) == before
    else:
        assert [content["inference_id"]] == scene.runs(prompt)


@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_after_a_killed_server_the_journal_prevents_paying_again(
    chunk: int, scene: Scene
) -> None:
    chance = random.Random(f"crash {chunk}")
    print(f"seed: crash {chunk}")
    faults = scene.sandbox.state.knobs.faults
    whole_seconds = seconds_of_a_call(scene)
    ends: list[str] = []
    for number in range(KILLS_A_CHUNK):
        prompt = f"killed {chunk}.{number}"
        fault = chance.choice(FAULTS)
        # Half of the servers are killed while they make the journal, perhaps.
        if chance.random() < 0.5:
            await scene.rows(number)
        if fault is not None:
            scene.sandbox.state.knobs.fail_next("execute_inference", fault)
        arrived = scene.sandbox.state.arrived["execute_inference"]
        runs = len(scene.sandbox.state.runs)
        with forked_call(scene.settings(number), SMALL_IMAGE | {"prompt": prompt}):
            wait_for_a_moment(scene, chance, whole_seconds)
        fault_met = fault is not None and not faults["execute_inference"]
        refused = arrived - runs + (fault_met and fault is not None and refuses(fault))
        wait_for_what_was_sent(scene, refused)
        faults.clear()
        state = await check_what_the_next_server_knows(scene, number, prompt)
        await check_that_the_call_is_safe_to_repeat(scene, number, prompt, state)
        ends.append(state)
    print({end: ends.count(end) for end in ends})


def refuses(fault: Fault) -> bool:
    """Whether the request that meets the fault starts no run."""
    return fault.effect != "slow" and not fault.is_processed


@pytest.mark.parametrize("chunk", range(SCRIPT_CHUNKS))
async def test_after_a_killed_script_the_journal_prevents_paying_again(
    chunk: int, scene: Scene
) -> None:
    chance = random.Random(f"script {chunk}")
    print(f"seed: script {chunk}")
    with child(scene.settings(-1)) as server:
        server.initialize()
        began = time.monotonic()
        server.call(2, "execute_inference", SMALL_IMAGE | {"prompt": "undisturbed"})
        server.receive()
        whole_seconds = time.monotonic() - began
    ends: list[str] = []
    for number in range(SCRIPT_KILLS_A_CHUNK):
        prompt = f"killed script {chunk}.{number}"
        with child(scene.settings(number)) as server:
            server.initialize()
            server.call(2, "execute_inference", SMALL_IMAGE | {"prompt": prompt})
            wait_for_a_moment(scene, chance, whole_seconds)
        wait_for_what_was_sent(scene, 0)
        state = await check_what_the_next_server_knows(scene, number, prompt)
        await check_that_the_call_is_safe_to_repeat(scene, number, prompt, state)
        ends.append(state)
    print({end: ends.count(end) for end in ends})
