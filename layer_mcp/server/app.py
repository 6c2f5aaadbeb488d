"""create_server: create the MCP server for stdio, HTTP, and tests."""

import base64
import secrets
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, cast

import anyio
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.request_state import RequestStateSecurity
from mcp.types import (
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    GetPromptResult,
    Icon,
    InputRequiredResult,
    ListPromptsResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
)

from ..runs.activity import Submissions
from ..settings import Settings, SettingsWithoutDisk, refuse_paid_sandbox
from ..version import __version__
from .approval import carry_question
from .callers.accounts import Accounts, open_accounts, use_account
from .callers.caller import Caller, principal_of
from .callers.offers import Offer, Offers
from .client_quirks import normalize_prompt_params
from .completion import complete
from .context import App
from .gallery import gallery
from .http.exchange import note_call
from .http.settings import HttpSettings
from .http.upload_links import UploadLinks
from .prompts import get_prompt, list_prompts
from .resources import MODEL_TEMPLATE, list_resource_templates, list_resources, read_resource
from .tasks import RunTasks, Tasks
from .transport_stdio import serve_stdio

# Every answer in protocol 2026-07-28 repeats the icon, so it is small.
ICON_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="#7657ff" '
    'd="m12 2 10 5-10 5L2 7zM2 11l10 5 10-5v3l-10 5-10-5zm0 5 10 5 10-5v3l-10 5-10-5z"/></svg>'
)

LIST_TTL_MS = 300_000
KEY_BYTES = 32
# Reads from Layer set their own hint; the last one applies to the gallery page.
LISTS: tuple[CacheableMethod, ...] = (
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
)


def create_server(
    settings: Settings,
    *,
    notes: str = "",
    submissions: Submissions | None = None,
    http: HttpSettings | None = None,
) -> "LayerServer":
    """Create the MCP server for these settings. It needs no token or network until the first call.

    `notes` are added to the instructions that an agent reads. `submissions` lets the caller track
    which paid requests are in progress. `http` says who may call over HTTP, and who pays.

    Raises:
        SettingsError: A sandbox is required, but the API's address is not one.
    """
    refuse_paid_sandbox(settings)
    http = http or HttpSettings()
    if http.is_for_a_team and not http.allow_disk:
        settings = SettingsWithoutDisk.of(settings)
    with _rich_hidden():
        return LayerServer(settings, http, _lifespan(settings, http, submissions), notes)


Lifespan = Callable[[MCPServer[Any]], AbstractAsyncContextManager[Any]]


class LayerServer(MCPServer[App]):
    """A server with the prompts, resources, and completions of this package.

    It replaces the SDK's handlers. They pass no context to completions and to resources with a
    fixed URI, allow one media type per resource, and report wrong prompt arguments as an internal
    error. `upload_links` make upload URLs, if agents can't use the disk.
    """

    accounts: Accounts | None = None
    """The accounts that are open while the server runs."""

    def __init__(
        self, settings: Settings, http: HttpSettings, lifespan: Lifespan, notes: str
    ) -> None:
        self.layer_settings = settings
        self.upload_links = _upload_links(http)
        self._offers = Offers(settings, self.upload_links, notes)
        self.spending_tools = self._offers.spending_tools
        """The names of the tools that need the scope layer:spend."""
        super().__init__(
            "layer-mcp",
            title="Layer",
            version=__version__,
            website_url="https://layer.ai",
            icons=[_icon()],
            instructions=self._offers.for_caller(Caller()).instructions,
            tools=self._offers.tools,
            extensions=[Tasks(RunTasks()), gallery(settings)],
            cache_hints=_cache_hints(http),
            lifespan=lifespan,
            log_level=settings.log_level,
            request_state_security=_state_security(http),
            middleware=[
                partial(note_call, frozenset(tool.name for tool in self._offers.tools)),
                use_account,
                carry_question,
                self._narrow_instructions,
                normalize_prompt_params,
            ],
        )
        self._lowlevel_server.add_request_handler(
            "completion/complete", CompleteRequestParams, self._handle_complete
        )

    async def run_stdio_async(
        self, stopped: anyio.Event | None = None, leave: Callable[[], None] | None = None
    ) -> None:
        """Serve stdin and stdout until stdin ends or `stopped` is set; see `serve_stdio`."""
        await serve_stdio(self._lowlevel_server, stopped, leave)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[App, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; one that a caller has hidden from itself is unknown."""
        ctx = context.request_context if context else None
        is_narrowed = ctx is not None and ctx.lifespan_context.caller.is_narrowed
        if is_narrowed and name not in self._offer(ctx).tools:
            raise ToolError(f"Unknown tool: {name}")
        return await super().call_tool(name, arguments, context)

    async def get_prompt(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        context: Context[App, Any] | None = None,
    ) -> GetPromptResult | InputRequiredResult:
        """Return a prompt with the given arguments.

        Raises:
            MCPError: Invalid params.
        """
        offer = self._offer(context.request_context if context else None)
        return get_prompt(offer.jobs, name, arguments or {})

    async def list_resources(self) -> list[Resource]:
        """Return the resources with a fixed URI, those of extensions last."""
        return [*list_resources(), *await super().list_resources()]

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """Return the resources whose URI has variables, those of extensions last."""
        return [*list_resource_templates(), *await super().list_resource_templates()]

    def _offer(self, ctx: ServerRequestContext[App, Any] | None) -> Offer:
        """Return what the caller of a request sees."""
        return self._offers.for_caller(ctx.lifespan_context.caller if ctx else Caller())

    async def _handle_list_tools(
        self, ctx: ServerRequestContext[App], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        result = await super()._handle_list_tools(ctx, params)
        if not ctx.lifespan_context.caller.is_narrowed:
            return result
        names = self._offer(ctx).tools
        tools = [tool for tool in result.tools if tool.name in names]
        return result.model_copy(update={"tools": tools, "cache_scope": "private"})

    async def _handle_list_prompts(
        self, ctx: ServerRequestContext[App], params: PaginatedRequestParams | None
    ) -> ListPromptsResult:
        result = ListPromptsResult(prompts=list_prompts(self._offer(ctx).jobs))
        if not ctx.lifespan_context.caller.is_narrowed:
            return result
        return result.model_copy(update={"cache_scope": "private"})

    async def _narrow_instructions(
        self, ctx: ServerRequestContext[App, Any], call_next: CallNext
    ) -> HandlerResult:
        """Describe only what the caller sees. This is middleware."""
        result = await call_next(ctx)
        is_greeting = ctx.method in ("initialize", "server/discover")
        if not is_greeting or not ctx.lifespan_context.caller.is_narrowed:
            return result
        greeting = cast("dict[str, Any]", result)
        return {**greeting, "instructions": self._offer(ctx).instructions}

    async def _handle_read_resource(
        self, ctx: ServerRequestContext[App], params: ReadResourceRequestParams
    ) -> ReadResourceResult | InputRequiredResult:
        context = Context[App, Any](request_context=ctx, mcp_server=self)
        result = await read_resource(str(params.uri), context)
        return result or await super()._handle_read_resource(ctx, params)

    async def _handle_complete(
        self, ctx: ServerRequestContext[App, Any], params: CompleteRequestParams
    ) -> CompleteResult:
        cache = ctx.lifespan_context.completions
        return await complete(cache, params, self._offer(ctx).jobs, MODEL_TEMPLATE)


def _lifespan(settings: Settings, http: HttpSettings, submissions: Submissions | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(server: MCPServer[Any]) -> AsyncGenerator[Any]:
        async with open_accounts(settings, submissions, http.payer) as accounts:
            cast("LayerServer", server).accounts = accounts
            yield accounts

    return lifespan


def _upload_links(http: HttpSettings) -> UploadLinks | None:
    if not http.is_for_a_team or http.allow_disk:
        return None
    return UploadLinks(http.server_keys, http.public_url)


def _cache_hints(http: HttpSettings) -> Mapping[CacheableMethod, CacheHint]:
    """Return how long lists stay valid: they depend on the settings, and on who calls."""
    hint = CacheHint(LIST_TTL_MS, "private" if http.is_for_a_team else "public")
    return dict.fromkeys(LISTS, hint)


def _state_security(http: HttpSettings) -> RequestStateSecurity:
    """Return how questions are sealed: for one caller, with the keys that replicas share."""
    keys = list(dict.fromkeys(http.server_keys)) or [secrets.token_hex(KEY_BYTES)]
    return RequestStateSecurity(keys=keys, bind_principal=principal_of)


def _icon() -> Icon:
    data = base64.b64encode(ICON_SVG.encode()).decode()
    return Icon(src=f"data:image/svg+xml;base64,{data}", mime_type="image/svg+xml", sizes=["any"])


@contextmanager
def _rich_hidden() -> Generator[None]:
    """Make the SDK log with the standard handler, as if rich were not installed.

    Loading rich takes a tenth of the start, and its handler breaks long lines. If it is loaded
    already, other threads may be using it, so it stays.
    """
    name = "rich.console"
    if name in sys.modules:
        yield
        return
    modules = cast("dict[str, Any]", sys.modules)
    modules[name] = None
    try:
        yield
    finally:
        del modules[name]
