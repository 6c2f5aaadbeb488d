"""create_server: the factory for stdio, HTTP, and the tests."""

import base64
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from types import MappingProxyType
from typing import Any, cast

import anyio
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import (
    CompleteRequestParams,
    CompleteResult,
    GetPromptResult,
    Icon,
    InputRequiredResult,
    Prompt,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
)

from ..runs.activity import Submissions
from ..runs.service import open_runs
from ..settings import Settings, refuse_paid_sandbox
from ..version import __version__
from .client_quirks import normalize_prompt_params
from .completion import CompletionCache, complete
from .context import App
from .gallery import gallery
from .instructions import instructions
from .prompts import get_prompt, list_prompts, select_jobs
from .resources import MODEL_TEMPLATE, list_resource_templates, list_resources, read_resource
from .tasks import RunTasks, Tasks
from .tools import tools_of
from .transport_stdio import serve_stdio

# Every answer in protocol 2026-07-28 repeats the icon, so it is small.
ICON_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="#7657ff" '
    'd="m12 2 10 5-10 5L2 7zM2 11l10 5 10-5v3l-10 5-10-5zm0 5 10 5 10-5v3l-10 5-10-5z"/></svg>'
)

# Lists depend on the settings alone, which only a restart can change.
LIST_HINT = CacheHint(ttl_ms=300_000, scope="public")
# Readings from Layer set their own hint; this one for reads is the gallery page's.
CACHE_HINTS: Mapping[CacheableMethod, CacheHint] = MappingProxyType(
    {
        "tools/list": LIST_HINT,
        "prompts/list": LIST_HINT,
        "resources/list": LIST_HINT,
        "resources/templates/list": LIST_HINT,
        "resources/read": LIST_HINT,
    }
)


def create_server(
    settings: Settings, *, notes: str = "", submissions: Submissions | None = None
) -> "LayerServer":
    """Create the MCP server for these settings. Needs no token or network until the first call.

    `notes` are added to the instructions that an agent reads. `submissions` lets the caller track
    which paid requests are in progress.

    Raises:
        SettingsError: A sandbox is required, but the API's address is not one.
    """
    refuse_paid_sandbox(settings)
    with _rich_hidden():
        return LayerServer(settings, _lifespan(settings, submissions), notes)


Lifespan = Callable[[MCPServer[App]], AbstractAsyncContextManager[App]]


class LayerServer(MCPServer[App]):
    """A server with the prompts, resources, and completions of this package.

    It replaces the SDK's own handlers, which give no context to completions and to resources with
    a fixed URI, allow one media type per resource, and report wrong prompt arguments as an internal
    error.
    """

    def __init__(self, settings: Settings, lifespan: Lifespan, notes: str) -> None:
        saves_by_itself = settings.output_dir is not None
        tools = tools_of(settings.toolsets, saves_by_itself=saves_by_itself)
        self._jobs = select_jobs([tool.name for tool in tools], saves_by_itself=saves_by_itself)
        text = instructions(
            settings.toolsets,
            saves_by_itself=saves_by_itself,
            confirm_above=settings.confirm_above,
        )
        super().__init__(
            "layer-mcp",
            title="Layer",
            version=__version__,
            website_url="https://layer.ai",
            icons=[_icon()],
            instructions=text + notes,
            tools=tools,
            extensions=[Tasks(RunTasks()), gallery(settings)],
            cache_hints=CACHE_HINTS,
            lifespan=lifespan,
            log_level=settings.log_level,
            middleware=[normalize_prompt_params],
        )
        self._lowlevel_server.add_request_handler(
            "completion/complete", CompleteRequestParams, self._handle_complete
        )

    async def run_stdio_async(
        self, stopped: anyio.Event | None = None, leave: Callable[[], None] | None = None
    ) -> None:
        """Serve stdin and stdout until stdin ends or `stopped` is set; see `serve_stdio`."""
        await serve_stdio(self._lowlevel_server, stopped, leave)

    async def list_prompts(self) -> list[Prompt]:
        """Return the prompts whose tools are available."""
        return list_prompts(self._jobs)

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
        return get_prompt(self._jobs, name, arguments or {})

    async def list_resources(self) -> list[Resource]:
        """Return the resources with a fixed URI, those of extensions last."""
        return [*list_resources(), *await super().list_resources()]

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """Return the resources whose URI has variables, those of extensions last."""
        return [*list_resource_templates(), *await super().list_resource_templates()]

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
        return await complete(cache, params, self._jobs, MODEL_TEMPLATE)


def _lifespan(settings: Settings, submissions: Submissions | None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_server: MCPServer[App]) -> AsyncGenerator[App]:
        async with (
            open_runs(settings, submissions=submissions) as runs,
            anyio.create_task_group() as background,
        ):
            try:
                yield App(settings, runs, CompletionCache(runs.client, background))
            finally:
                background.cancel_scope.cancel()

    return lifespan


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
