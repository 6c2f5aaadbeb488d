"""execute_inference: start a generation."""

import logging

import anyio
from mcp.server.mcpserver.tools import Tool
from pydantic import Field

from ...api.errors import LayerError
from ...api.fields import NonNegativeNumber
from ...api.models import Inference, StartedInference
from ...api.polling import is_terminal
from ...journal import RunRecord
from ..common import PREVIEW, spending
from ..finishing import bring_home
from ..generation import GenerationArguments
from ..provenance import end_facts, finished_run, start_facts
from ..results import Illustrated
from ..run_results import RunAnswer, changed_parameters, run_answer
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..waiting import bytes_reporter, capped_wait_seconds, progress_reporter, seconds_left

DESCRIPTION = """\
Start a paid generation with Layer: image, video, 3D or audio. Returns inference_id at once; \
get_status then waits for the files. Every call is a new run and a new charge: after a timeout or \
an error with an inference_id, use get_status instead of calling again. Give only the arguments \
that the model uses. References and masks may be local files, given by path."""

logger = logging.getLogger(__name__)


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
    files = await app.uploads.upload(
        arguments.paths(),
        workspace_id,
        total_seconds=seconds_left(began, context),
        on_bytes=bytes_reporter(context),
    )
    request = arguments.request({file.path: file.file_id for file in files})
    try:
        started = await app.client.execute_inference(request, workspace=workspace_id)
    except LayerError as error:
        await app.uploads.forget_if_gone(error, files, workspace_id)
        raise
    facts = start_facts(request, started, workspace_id)
    changed = changed_parameters(request, started.normalized_parameters)

    def answered(state: Inference) -> RunAnswer:
        answer = run_answer(state, workspace_id=workspace_id, started=facts, can_save=app.can_save)
        return answer.model_copy(update={"changed_parameters": changed or None})

    state = _state_of(started)
    try:
        await app.journal.note_run(started.inference_id, facts)
        wait_seconds = capped_wait_seconds(arguments.wait_seconds, began, context)
        state = await _followed(state, workspace_id, wait_seconds, context)
        return await bring_home(
            answered(state),
            finished_run(started.inference_id, state.outputs, facts, end_facts(state)),
            RunRecord(facts),
            context,
            began=began,
            preview=arguments.preview,
        )
    except LayerError as error:
        warning = f"The run was started, but then: {error.message}"
    except anyio.get_cancelled_exc_class():
        logger.warning("The call was cancelled; run %s goes on", started.inference_id)
        raise
    # The run is paid for: whatever breaks now, the agent gets its id.
    except Exception:
        logger.exception("Waiting for run %s crashed", started.inference_id)
        warning = "The run was started, but waiting for it failed in the server."
    return Illustrated(answered(state).with_warning(warning))


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
        annotations=spending(),
    )
