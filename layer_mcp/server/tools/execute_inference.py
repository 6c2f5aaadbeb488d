"""execute_inference: start a generation."""

import logging

import anyio
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from mcp.types import ToolAnnotations
from pydantic import Field

from ...api.errors import LayerError
from ...api.fields import NonNegativeNumber
from ...api.models import Inference, InferenceRequest, StartedInference
from ...api.polling import is_terminal
from ..results import RunAnswer, changed_parameters, run_answer
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..waiting import capped_wait_seconds, progress_reporter

DESCRIPTION = """\
Start a paid generation with Layer: image, video, 3D or audio. Returns inference_id at once; \
get_status then waits for the files. Every call is a new run and a new charge: after a timeout or \
an error with an inference_id, use get_status instead of calling again. Give only the arguments \
that the model uses."""


logger = logging.getLogger(__name__)


class ExecuteInferenceArguments(InferenceRequest, ArgModelBase):
    """The request's fields, flat, plus where to run it and how long to wait."""

    workspace_id: str | None = Field(
        default=None,
        max_length=255,
        description="Workspace: id, slug or name. Default: the configured or only one.",
    )
    wait_seconds: NonNegativeNumber = Field(
        default=0, description="Wait up to this long for the files."
    )

    def request(self) -> InferenceRequest:
        """What goes to Layer."""
        own = {"workspace_id", "wait_seconds"}
        return InferenceRequest.model_validate(self.model_dump(exclude=own, exclude_unset=True))


async def execute_inference(
    arguments: ExecuteInferenceArguments, context: ToolContext
) -> RunAnswer:
    """Submit once, then wait as long as asked; what fails after that does not hide the run."""
    began = anyio.current_time()
    client = app_of(context).client
    request = arguments.request()
    workspace_id = await client.workspace_id(arguments.workspace_id)
    started = await client.execute_inference(request, workspace=workspace_id)
    wait_seconds = capped_wait_seconds(arguments.wait_seconds, began, context)
    state, warning = _state_of(started), None
    try:
        state = await _followed(state, workspace_id, wait_seconds, context)
    except LayerError as error:
        warning = f"The run was started, but then: {error.message}"
    except anyio.get_cancelled_exc_class():
        logger.warning("The call was cancelled; run %s goes on", started.inference_id)
        raise
    # The run is paid for: whatever breaks now, the agent gets its id.
    except Exception:
        logger.exception("Waiting for run %s crashed", started.inference_id)
        warning = "The run was started, but waiting for it failed in the server."
    changed = changed_parameters(request, started.normalized_parameters)
    return run_answer(state, workspace_id=workspace_id, started=started).model_copy(
        update={"changed_parameters": changed or None, "warning": warning}
    )


async def _followed(
    state: Inference, workspace_id: str, wait_seconds: float, context: ToolContext
) -> Inference:
    """The run's state after the wait, or at once if it has ended: with its files or its reason."""
    client = app_of(context).client
    if is_terminal(state.status):
        return await client.get_inference(state.inference_id, workspace=workspace_id)
    return await client.wait(
        state.inference_id,
        wait_seconds,
        workspace=workspace_id,
        known=state,
        on_progress=progress_reporter(context, wait_seconds),
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
