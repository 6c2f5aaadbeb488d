"""execute_inference: start a generation."""

from typing import Annotated

import anyio
from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Elicit, Resolve
from mcp.server.mcpserver.tools import Tool
from pydantic import Field

from ...api.fields import NonNegativeNumber
from ...api.models import Inference
from ..approval import Answered, Approval
from ..common import PREVIEW, spending
from ..generation import GenerationArguments
from ..orders import inference_order
from ..planning import Plan, SpendingArguments, asked, planned
from ..references import bring_references
from ..results import Illustrated
from ..run_results import RunAnswer, RunStateAnswer
from ..starting import started
from ..state import ToolContext, app_of
from ..tool import make_tool

DESCRIPTION = """\
Start a paid generation with Layer: image, video, 3D or audio. Returns inference_id at once; \
get_status then waits for the files. The same call again is answered with the same run and costs \
nothing, unless repeat is true. Give only the arguments that the model uses."""


class ExecuteInferenceArguments(SpendingArguments, GenerationArguments):
    """The request's fields, where to run it, what it may cost, and how long to wait."""

    wait_seconds: NonNegativeNumber = Field(
        default=0, description="Wait up to this long for the files."
    )
    preview: bool = PREVIEW


async def plan(arguments: ExecuteInferenceArguments, context: ToolContext) -> Plan[Inference]:
    """Bring the references to Layer and ask for the price, unless the call came before."""
    began = anyio.current_time()
    app = app_of(context)
    workspace_id = await app.client.workspace_id(arguments.workspace_id)
    references = await bring_references(arguments.paths(), workspace_id, context, began=began)
    order = inference_order(app, arguments.request(references.ids), references, workspace_id)
    return await planned([order], arguments, context, began=began)


async def ask(
    plan: Annotated[Plan[Inference], Resolve(plan)], context: ToolContext
) -> Elicit[Approval] | Answered:
    """Ask a person, if the price wants one."""
    return await asked(plan, context)


async def execute_inference(
    arguments: ExecuteInferenceArguments,
    plan: Annotated[Plan[Inference], Resolve(plan)],
    approval: Annotated[ElicitationResult[Approval], Resolve(ask)],
    context: ToolContext,
) -> Illustrated[RunStateAnswer]:
    """Submit once, then wait as long as asked."""
    return await started(
        plan,
        approval,
        context,
        wait_seconds=arguments.wait_seconds,
        preview=arguments.preview,
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
