"""execute_inference: start a generation."""

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from mcp.types import ToolAnnotations
from pydantic import Field

from ...api.errors import LayerError
from ...api.models import Inference, InferenceRequest, Number, StartedInference
from ..results import RunAnswer, changed_parameters, run_answer
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..waiting import capped_wait_seconds, progress_reporter

DESCRIPTION = """\
Start a paid generation with Layer: image, video, 3D or audio. Returns inference_id at once; \
get_status then waits for the files. Every call is a new run and a new charge: after a timeout or \
an error with an inference_id, use get_status instead of calling again. Give only the arguments \
that the model uses."""


class ExecuteInferenceArguments(InferenceRequest, ArgModelBase):
    """The request's fields, flat, plus where to run it and how long to wait."""

    workspace_id: str | None = Field(
        default=None,
        description="Workspace: id, slug or name. Default: the configured or only one.",
    )
    wait_seconds: Number = Field(default=0, ge=0, description="Wait up to this long for the files.")

    def request(self) -> InferenceRequest:
        """What goes to Layer."""
        own = {"workspace_id", "wait_seconds"}
        return InferenceRequest.model_validate(self.model_dump(exclude=own, exclude_unset=True))


async def execute_inference(
    arguments: ExecuteInferenceArguments, context: ToolContext
) -> RunAnswer:
    """Submit once, then wait as long as asked; a wait that fails does not fail the submission."""
    client = app_of(context).client
    request = arguments.request()
    workspace_id = await client.workspace_id(arguments.workspace_id)
    started = await client.execute_inference(request, workspace=workspace_id)
    state, warning = _state_of(started), None
    wait_seconds = capped_wait_seconds(arguments.wait_seconds, context)
    try:
        state = await client.wait(
            started.inference_id,
            wait_seconds,
            workspace=workspace_id,
            known=state,
            on_progress=progress_reporter(context, wait_seconds),
        )
    except LayerError as error:
        warning = f"The run was started, but waiting stopped: {error.message}"
    changed = changed_parameters(request, started.normalized_parameters)
    return run_answer(state, workspace_id=workspace_id, started=started).model_copy(
        update={"changed_parameters": changed or None, "warning": warning}
    )


def _state_of(started: StartedInference) -> Inference:
    return Inference(
        inference_id=started.inference_id,
        status=started.status,
        poll_interval_seconds=started.poll_interval_seconds,
    )


def execute_inference_tool() -> Tool:
    """The tool as the server publishes it."""
    return make_tool(
        execute_inference,
        title="Generate with Layer",
        description=DESCRIPTION,
        arguments=ExecuteInferenceArguments,
        answer=RunAnswer,
        annotations=ToolAnnotations(
            read_only_hint=False,
            destructive_hint=False,
            idempotent_hint=False,
            open_world_hint=True,
        ),
    )
