"""execute_inference: start a generation."""

import anyio
from mcp.server.mcpserver.tools import Tool
from pydantic import Field

from ...api.fields import NonNegativeNumber
from ...api.models import InferenceRequest, StartedInference
from ..common import PREVIEW, spending
from ..following import inference_run, told_after_start
from ..generation import GenerationArguments
from ..provenance import start_facts, state_after_start
from ..results import Illustrated
from ..run_results import RunAnswer
from ..state import ToolContext, app_of
from ..submitting import FileIds, call_with_files
from ..tool import make_tool

DESCRIPTION = """\
Start a paid generation with Layer: image, video, 3D or audio. Returns inference_id at once; \
get_status then waits for the files. Every call is a new run and a new charge: after a timeout or \
an error with an inference_id, use get_status instead of calling again. Give only the arguments \
that the model uses. References and masks may be local files, given by path."""


class ExecuteInferenceArguments(GenerationArguments):
    """The request's fields, where to run it, and how long to wait."""

    wait_seconds: NonNegativeNumber = Field(
        default=0, description="Wait up to this long for the files."
    )
    preview: bool = PREVIEW


async def execute_inference(
    arguments: ExecuteInferenceArguments, context: ToolContext
) -> Illustrated:
    """Submit once, then wait as long as asked; what fails after that does not hide the run."""
    began = anyio.current_time()
    app = app_of(context)
    workspace_id = await app.client.workspace_id(arguments.workspace_id)

    async def submit(file_ids: FileIds) -> tuple[InferenceRequest, StartedInference]:
        request = arguments.request(file_ids)
        return request, await app.client.execute_inference(request, workspace=workspace_id)

    request, started = await call_with_files(
        arguments.paths(), workspace_id, submit, context, began=began
    )
    return await told_after_start(
        inference_run(app, started.inference_id, workspace_id),
        state_after_start(started),
        start_facts(request, started, workspace_id),
        context,
        wait_seconds=arguments.wait_seconds,
        preview=arguments.preview,
        began=began,
    )


def execute_inference_tool() -> Tool:
    """The tool as the server publishes it."""
    return make_tool(
        execute_inference,
        title="Generate with Layer",
        description=DESCRIPTION,
        arguments=ExecuteInferenceArguments,
        answer=RunAnswer,
        annotations=spending(),
    )
