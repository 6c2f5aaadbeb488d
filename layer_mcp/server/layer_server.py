"""The server as clients see it beside its tools: prompts, resources, completions, cache hints."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    GetPromptResult,
    InputRequiredResult,
    Prompt,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
)

from ..errors import LayerError
from .completion import complete
from .context import App
from .lenient_params import with_text_arguments
from .prompts.offering import Offer
from .resources import MODEL_TEMPLATE, list_resource_templates, list_resources, read_resource
from .stdio import serve_stdio

MAX_NAME_LENGTH = 60
# Lists follow from the settings and not from the caller, and stay while the server runs. It may be
# started again with others, so they are not kept for long.
LIST_HINT = CacheHint(ttl_ms=300_000, scope="public")
LISTS: tuple[CacheableMethod, ...] = (
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
)
# What is read of Layer has a hint of its own; the page for hosts comes with the program.
CACHE_HINTS: Mapping[CacheableMethod, CacheHint] = MappingProxyType(
    dict.fromkeys((*LISTS, "resources/read"), LIST_HINT)
)


class LayerServer(MCPServer[App]):
    """A server whose prompts, resources and completions come from the tables of this package.

    The SDK's own ways fall short: a resource of a fixed address and a completion get no context, a
    resource has one media type, and what is wrong with a prompt's arguments is an internal error.
    """

    _offers: Mapping[str, Offer] = MappingProxyType({})

    def offer(self, offers: Mapping[str, Offer]) -> None:
        """Offer these prompts, in this order, and complete what is typed for them."""
        self._offers = offers
        self.middleware.append(with_text_arguments)

        async def handle_completion(
            context: ServerRequestContext[App, Any], params: CompleteRequestParams
        ) -> CompleteResult:
            cache = context.lifespan_context.completions
            return await complete(cache, params, offers, MODEL_TEMPLATE)

        self._lowlevel_server.add_request_handler(
            "completion/complete", CompleteRequestParams, handle_completion
        )

    async def run_stdio_async(self) -> None:
        """Serve stdin and stdout until stdin ends."""
        await serve_stdio(self._lowlevel_server)

    async def list_prompts(self) -> list[Prompt]:
        """The prompts whose tools are there."""
        return [offer.listed() for offer in self._offers.values()]

    async def get_prompt(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        context: Context[App, Any] | None = None,
    ) -> GetPromptResult | InputRequiredResult:
        """A prompt with the arguments that were given.

        Raises:
            MCPError: invalid params.
        """
        offer = self._offers.get(name)
        if offer is None:
            there_are = ", ".join(self._offers) or "none"
            shown = " ".join(name[:MAX_NAME_LENGTH].split())
            sentence = f"There is no prompt {shown}. There are: {there_are}."
            raise MCPError(code=INVALID_PARAMS, message=sentence)
        try:
            return offer.prompt(arguments or {})
        except LayerError as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from None

    async def list_resources(self) -> list[Resource]:
        """The resources of fixed addresses; those of extensions come last."""
        return [*list_resources(), *await super().list_resources()]

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """The addresses with something to fill in."""
        return [*list_resource_templates(), *await super().list_resource_templates()]

    async def _handle_read_resource(
        self, ctx: ServerRequestContext[App], params: ReadResourceRequestParams
    ) -> ReadResourceResult | InputRequiredResult:
        context = Context[App, Any](request_context=ctx, mcp_server=self)
        found = await read_resource(str(params.uri), context)
        return found or await super()._handle_read_resource(ctx, params)
