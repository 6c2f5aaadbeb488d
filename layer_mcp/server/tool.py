"""Make a tool from a model of its arguments, a model of its answer, and a function.

The model of the arguments is the contract: clients see its portable schema, and the function gets
it validated. A `LayerError` becomes an answer with a code and a next step.
"""

import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any, cast

from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import build_resolver_plans, find_resolved_parameters
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations

from ..api.fields import is_uuid
from ..api.models import ModelQuery
from ..arguments import AN_ID, parse_arguments
from ..errors import LayerError
from ..schema import JsonObject, answer_schema, outline, portable_schema
from ..settings import Toolset
from ..text.plain_text import quote
from .answers import Answer, ToolOutput, error_result, success_result
from .approval import UNREADABLE
from .client_quirks import adapt_result, remove_host_arguments
from .context import app_of

WRONG_MODEL = f"model_id {AN_ID}"
MAX_MODELS_NAMED = 3

logger = logging.getLogger(__name__)


def make_tool(
    function: Callable[..., Awaitable[Answer | ToolOutput]],
    *,
    title: str,
    description: str,
    arguments: type[ArgModelBase],
    answer: type[Answer],
    annotations: ToolAnnotations,
    described_elsewhere: bool = False,
) -> Tool:
    """Create a tool that is named after its function and takes its schemas from its models.

    The function gets `arguments`, `context`, and the results of the parameters that are marked with
    the SDK's `Resolve`, such as a person's answer.

    `described_elsewhere` says that another tool describes the same arguments. The schema then gives
    only their names and types, because every list of tools costs tokens.
    """
    schema = portable_schema(arguments)
    if described_elsewhere:
        schema = outline(schema)
    resolved = find_resolved_parameters(function)
    return LayerTool(
        fn=function,
        name=function.__name__,
        title=title,
        description=description,
        parameters=schema,
        fn_metadata=ModelArguments(
            arg_model=arguments, input_schema=schema, output_schema=answer_schema(answer)
        ),
        is_async=True,
        context_kwarg="context",
        resolved_params=dict(resolved),
        resolver_plans=build_resolver_plans(resolved, {"arguments"}),
        annotations=annotations,
    )


def is_read_only(tool: Tool) -> bool:
    """Return whether a tool changes nothing, so that a caller without layer:spend may call it."""
    return tool.annotations is not None and tool.annotations.read_only_hint is True


class ModelArguments(FuncMetadata):
    """Function metadata that passes the arguments as one model instead of one keyword each."""

    input_schema: JsonObject

    def validate_arguments(self, arguments_to_validate: JsonObject) -> JsonObject:
        """Return the keyword arguments for the function.

        Raises:
            LayerError: INVALID_ARGUMENTS.
        """
        arguments = remove_host_arguments(arguments_to_validate, self.input_schema)
        model = parse_arguments(self.arg_model, self.input_schema, arguments)
        return {"arguments": model}


class LayerTool(Tool):
    """A tool that converts what its function returns or raises into an answer for the agent."""

    async def run(
        self, arguments: JsonObject, context: Any, convert_result: bool = False
    ) -> CallToolResult | InputRequiredResult:
        """Run the tool; raise nothing but a protocol error (`MCPError`)."""
        app = app_of(context)
        simulated = app.settings.sandbox
        # The HTTP server refuses such a call too, but it reads the request with another parser.
        if not is_read_only(self) and "layer:spend" not in app.caller.scopes:
            refusal = LayerError("INSUFFICIENT_SCOPE", f"{self.name} needs the scope layer:spend.")
            return error_result(refusal, simulated=simulated)
        try:
            answer = await super().run(arguments, context)
        except ToolError as error:
            failure = app.explain(self._layer_error(error))
            if WRONG_MODEL in failure.message and (ids := await _find_ids(arguments, context)):
                failure.parts = (*failure.parts, f" {ids}")
            return error_result(failure, simulated=simulated, hint=_hint(failure, app.toolsets))
        if isinstance(answer, InputRequiredResult):
            return answer
        output = answer if isinstance(answer, ToolOutput) else ToolOutput(cast("Answer", answer))
        result = success_result(
            output, simulated=simulated, protocol_version=context.protocol_version
        )
        return adapt_result(result, context)

    def _layer_error(self, error: ToolError) -> LayerError:
        cause = error.__cause__
        if isinstance(cause, LayerError):
            logger.info("%s failed: %s", self.name, cause)
            return cause
        # The SDK raises this for a person's answer that it can't read.
        if isinstance(cause, ToolError):
            logger.info("%s: the user's answer could not be read", self.name)
            return LayerError("NOT_ANSWERED", UNREADABLE)
        logger.error("%s crashed", self.name, exc_info=cause)
        return LayerError(
            "TOOL_CRASHED",
            f"{self.name} failed in the server.",
            next_step="Call again; if it stays, report this with the server's log."
            if is_read_only(self)
            else None,
        )


async def _find_ids(arguments: JsonObject, context: Any) -> str:
    """Return a sentence with the IDs of the models that a call refers to by name, if any."""
    requests = arguments.get("requests")
    parts = cast("list[object]", requests) if isinstance(requests, list) else []
    parts = [arguments, arguments.get("defaults"), *parts]
    given = [cast("JsonObject", part).get("model_id") for part in parts if isinstance(part, dict)]
    name = next((text for text in given if isinstance(text, str) and not is_uuid(text)), None)
    if name is None:
        return ""
    workspace = arguments.get("workspace_id")
    known = await app_of(context).completions.models(
        ModelQuery(), workspace if isinstance(workspace, str) and workspace else None
    )
    found = [f"{quote(item.names[0])} is {item.value}" for item in known.named(name)]
    more = f", and {len(found) - MAX_MODELS_NAMED} more" if len(found) > MAX_MODELS_NAMED else ""
    return f"{', '.join(found[:MAX_MODELS_NAMED])}{more}." if found else ""


def _hint(error: LayerError, toolsets: Collection[Toolset]) -> str:
    hints: dict[str, tuple[Toolset, str]] = {
        "MODEL_NOT_FOUND": ("models", "list_models names them."),
        "WORKSPACE_NOT_FOUND": ("models", "list_workspaces names them."),
        "WORKFLOW_NOT_FOUND": ("workflows", "list_workflows names them."),
    }
    toolset, sentence = hints.get(error.code, (None, ""))
    return sentence if toolset in toolsets else ""
