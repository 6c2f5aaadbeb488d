"""A limit of time counts only while the process runs."""

import json
import signal
import subprocess
import sys
import time
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from layer_mcp import LayerClient, LayerError
from layer_mcp.api.deadline import run_within
from layer_mcp.api.models import InferenceRequest
from layer_mcp.api.retry import Limits
from layer_mcp.sandbox import Fault, RunningSandbox

from ..support.hosts import SMALL_IMAGE

pytestmark = pytest.mark.anyio

SHORT_SECONDS = 0.3
# Longer than any timer of the process that is stopped.
PAUSE_SECONDS = 2.5


async def test_work_that_takes_too_long_is_cancelled() -> None:
    assert await run_within(0.05, partial(anyio.sleep, 60)) is None


async def test_work_returns_its_result() -> None:
    async def work() -> str:
        await anyio.lowlevel.checkpoint()
        return "done"

    assert await run_within(60, work) == "done"


async def test_a_caller_that_is_cancelled_cancels_the_work() -> None:
    with anyio.move_on_after(0.05) as scope:
        await run_within(60, anyio.sleep_forever)
    assert scope.cancelled_caught


SUBMIT = """
import sys, anyio
from layer_mcp import InferenceRequest, LayerClient
from layer_mcp.api.retry import Limits

async def main(api_url, token, workspace, request):
    limits = Limits(submit_total_seconds=0.5)
    async with LayerClient(token, workspace=workspace, api_url=api_url, limits=limits) as client:
        started = await client.execute_inference(InferenceRequest.model_validate_json(request))
        print(started.inference_id)

anyio.run(main, *sys.argv[1:])
"""


@pytest.mark.process
def test_an_answer_that_arrives_while_the_process_is_stopped_is_read(
    sandbox: RunningSandbox,
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", Fault("slow", delay_seconds=0.2))
    arguments = [sandbox.api_url, sandbox.token, sandbox.workspace_id, json.dumps(SMALL_IMAGE)]
    with subprocess.Popen(
        [sys.executable, "-c", SUBMIT, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        while not sandbox.state.arrived["execute_inference"]:
            time.sleep(0.005)
        process.send_signal(signal.SIGSTOP)
        time.sleep(PAUSE_SECONDS)
        process.send_signal(signal.SIGCONT)
        printed, _ = process.communicate(timeout=30)
    assert printed.split() == list(sandbox.state.runs)


async def test_still_times_out_if_no_answer_arrives(sandbox: RunningSandbox) -> None:
    limits = Limits(submit_total_seconds=SHORT_SECONDS)
    sandbox.state.knobs.fail_next("execute_inference", Fault("slow", delay_seconds=5))
    async with LayerClient(
        sandbox.token, workspace=sandbox.workspace_id, api_url=sandbox.api_url, limits=limits
    ) as client:
        with anyio.fail_after(4), pytest.raises(LayerError, match="OUTCOME_UNKNOWN"):
            await client.execute_inference(InferenceRequest.model_validate(SMALL_IMAGE))
