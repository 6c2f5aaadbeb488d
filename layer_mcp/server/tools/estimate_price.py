"""estimate_price: what a generation will cost, references included."""

import anyio
from mcp.server.mcpserver.tools import Tool

from ..common import adding
from ..generation import GenerationArguments
from ..prices import PriceAnswer, price_answer
from ..references import bring_references
from ..state import ToolContext, app_of
from ..tool import make_tool

DESCRIPTION = """\
Price and balance before a generation; free of charge. Arguments as in execute_inference; local \
references are uploaded, so that they count."""


async def estimate_price(arguments: GenerationArguments, context: ToolContext) -> PriceAnswer:
    """Bring the references to Layer, then ask for the price with them."""
    began = anyio.current_time()
    app = app_of(context)
    workspace_id = await app.client.workspace_id(arguments.workspace_id)

    references = await bring_references(arguments.paths(), workspace_id, context, began=began)
    request = arguments.request(references.ids)
    price = await references.used_by(
        lambda: app.client.estimate_price(request, workspace=workspace_id)
    )
    return price_answer(
        price,
        "Call execute_inference with the same arguments.",
        confirm_above=app.settings.confirm_above,
    )


def estimate_price_tool() -> Tool:
    """The tool as the server publishes it."""
    return make_tool(
        estimate_price,
        title="Price of a generation",
        description=DESCRIPTION,
        arguments=GenerationArguments,
        answer=PriceAnswer,
        annotations=adding(),
        described_elsewhere=True,
    )
