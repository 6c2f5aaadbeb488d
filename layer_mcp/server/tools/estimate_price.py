"""estimate_price: what a generation will cost, references included."""

import anyio
from mcp.server.mcpserver.tools import Tool

from ...api.errors import LayerError
from ..common import adding
from ..generation import GenerationArguments
from ..prices import PriceAnswer, price_answer
from ..state import ToolContext, app_of
from ..tool import make_tool
from ..waiting import bytes_reporter, seconds_left

DESCRIPTION = """\
Price and balance before a generation; free of charge. The arguments are those of \
execute_inference, described there. Local references are uploaded, so that they count."""


class EstimatePriceArguments(GenerationArguments):
    """The request's fields and where to run it."""


async def estimate_price(arguments: EstimatePriceArguments, context: ToolContext) -> PriceAnswer:
    """Bring the references to Layer, then ask for the price with them."""
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
        estimate = await app.client.estimate_price(request, workspace=workspace_id)
    except LayerError as error:
        await app.uploads.forget_if_gone(error, files, workspace_id)
        raise
    return price_answer(estimate, "Call execute_inference with the same arguments.")


def estimate_price_tool() -> Tool:
    """The tool as the server publishes it."""
    return make_tool(
        estimate_price,
        title="Price of a generation",
        description=DESCRIPTION,
        arguments=EstimatePriceArguments,
        answer=PriceAnswer,
        annotations=adding(),
        described_elsewhere=True,
    )
