"""The host's page in Chromium, with the gallery in the sandbox that the extension requires."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from mcp import Client
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Frame,
    FrameLocator,
    Page,
    Request,
    Route,
    async_playwright,
    expect,
)

from layer_mcp.server.gallery import GALLERY_URI

from ..hosts import MEMORY, Host
from .csp import policy

HERE = Path(__file__).parent
GALLERY = HERE.parents[2] / "gallery"
HOST = "http://localhost:9101/"
SANDBOX = "http://127.0.0.1:9102/"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # Without a GPU, only WebGL should be drawn as if there were one.
    "--disable-gpu-compositing",
    "--disable-gpu-rasterization",
    # Starting a process for each frame takes longer than most tests.
    "--disable-site-isolation-trials",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=LocalNetworkAccessChecks,SpareRendererForSitePerProcess,IsolateSandboxedIframes",
]
CAPABILITIES: dict[str, Any] = {
    "serverTools": {},
    "serverResources": {},
    "openLinks": {},
    "updateModelContext": {"text": {}},
}
MOST_MS = 60_000
Json = dict[str, Any]


@dataclass
class Shown:
    """What happened between the gallery and its host."""

    calls: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])
    requested: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])
    links: list[str] = field(default_factory=list[str])
    contexts: list[Any] = field(default_factory=list[Any])
    errors: list[str] = field(default_factory=list[str])

    def calls_of(self, tool: str) -> list[Json]:
        """Return the arguments of each call of a tool."""
        return [given for name, given in self.calls if name == tool]

    @property
    def origins(self) -> set[str]:
        """The origins of all network requests."""
        parts = [urlsplit(url) for url in self.requested]
        return {
            f"{part.scheme}://{part.netloc}" for part in parts if part.scheme.startswith("http")
        }


@dataclass(frozen=True)
class GalleryHost:
    """A host with one conversation: a client of the server, and a page that shows its answers."""

    client: Client
    page: Page
    shown: Shown

    @property
    def app(self) -> FrameLocator:
        """The gallery inside its two frames."""
        return self.page.frame_locator("iframe").frame_locator("iframe")

    @property
    def frame(self) -> Frame:
        """The gallery's own document."""
        return self.page.frames[-1]

    async def call(self, tool: str, given: Json, **options: Any) -> Json:
        """Call a tool as an agent would, and show its answer."""
        result = as_json(await self.client.call_tool(tool, given))
        await self.show(result, given, **options)
        return result["structuredContent"]

    async def show(
        self,
        result: Json | None,
        given: Json | None = None,
        *,
        context: Json | None = None,
        capabilities: Json | None = None,
        refuses: Sequence[str] = (),
    ) -> None:
        """Show an answer in the gallery; without one, the call is still in progress."""
        [content] = as_json(await self.client.read_resource(GALLERY_URI))["contents"]
        await self.page.evaluate(
            "window.show",
            {
                "html": content["text"],
                "csp": content.get("_meta", {}).get("ui", {}).get("csp"),
                "sandbox": SANDBOX,
                "given": given or {},
                "result": result,
                "context": _given({"theme": "light", "displayMode": "inline"} | (context or {})),
                "capabilities": CAPABILITIES if capabilities is None else capabilities,
                "refuses": list(refuses),
            },
        )

    async def change_context(self, context: Json) -> None:
        """Tell the gallery what changed in the host."""
        await self.page.evaluate("context => window.bridge.setHostContext(context)", context)


@asynccontextmanager
async def chromium(*flags: str) -> AsyncGenerator[Browser]:
    """Run this machine's Chromium with WebGL in software, or skip the test if there is none."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs Chromium as {CHROMIUM}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def gallery_host(
    browser: Browser,
    environment: dict[str, str],
    *,
    width: int = 1200,
    dark: bool = False,
    connection: Host = MEMORY,
    own_tab: bool = False,
) -> AsyncGenerator[GalleryHost]:
    """Open a host with a new server with these settings.

    Hosts take turns in the browser's tab, because a new one starts processes. `own_tab` is for a
    test that changes its tab for good.
    """
    async with connection.connect(environment) as client, _tab(browser, own=own_tab) as page:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
        await page.goto(HOST)
        async with _noted(page, client) as shown:
            yield GalleryHost(client, page, shown)


@asynccontextmanager
async def _tab(browser: Browser, *, own: bool) -> AsyncGenerator[Page]:
    """Lend the browser's tab, and take back from it what the last test left behind."""
    context = await _new_context(browser) if own or not browser.contexts else browser.contexts[0]
    page = context.pages[0] if context.pages else await context.new_page()
    try:
        yield page
    finally:
        if own:
            await context.close()
        else:
            await page.unroute_all()
            await page.mouse.move(-1, -1)
            await page.evaluate("document.body.replaceChildren()")


async def _new_context(browser: Browser) -> BrowserContext:
    context = await browser.new_context()
    context.set_default_timeout(MOST_MS)
    expect.set_options(timeout=MOST_MS)
    await context.route(f"{HOST}**", _host_files)
    await context.route(f"{SANDBOX}**", _sandbox_files)
    return context


@asynccontextmanager
async def _noted(page: Page, client: Client) -> AsyncGenerator[Shown]:
    """Answer the host's page, and note what it does."""
    shown = Shown()

    async def ask(method: str, params: Json) -> Json:
        if method == "resources/read":
            return as_json(await client.read_resource(params["uri"]))
        given: Json = params.get("arguments") or {}
        shown.calls.append((params["name"], given))
        return as_json(await client.call_tool(params["name"], given))

    async def note_link(url: str) -> None:
        shown.links.append(url)

    async def note_context(content: Any) -> None:
        shown.contexts.append(content)

    def note_request(request: Request) -> None:
        shown.requested.append(request.url)

    def note_error(error: Error) -> None:
        shown.errors.append(str(error))

    def note_refusal(said: ConsoleMessage) -> None:
        if "Content Security Policy" in said.text:
            shown.refused.append(said.text)

    functions = {"askServer": ask, "noteLink": note_link, "noteContext": note_context}
    listeners: dict[Any, Any] = {
        "request": note_request,
        "pageerror": note_error,
        "console": note_refusal,
    }
    # Its own types are incomplete.
    exposing: Any = page
    async with AsyncExitStack() as stack:
        for name, function in functions.items():
            await stack.enter_async_context(await exposing.expose_function(name, function))
        for event, listener in listeners.items():
            page.on(event, listener)
            stack.callback(page.remove_listener, event, listener)
        yield shown


def as_json(value: Any) -> Json:
    """Return an SDK result as it's sent over the wire."""
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


def _given(facts: Json) -> Json:
    return {name: value for name, value in facts.items() if value is not None}


async def _host_files(route: Route) -> None:
    if urlsplit(route.request.url).path == "/host.js":
        await route.fulfill(content_type="text/javascript", body=_host_script())
    else:
        await route.fulfill(content_type="text/html", body=(HERE / "host.html").read_text())


async def _sandbox_files(route: Route) -> None:
    [csp] = parse_qs(urlsplit(route.request.url).query).get("csp", ["{}"])
    await route.fulfill(
        content_type="text/html",
        body=(HERE / "sandbox.html").read_text(),
        headers={"Content-Security-Policy": policy(json.loads(csp))},
    )


@cache
def _host_script() -> str:
    """Return the host's script with the public bridge in it."""
    node = str(Path(sys.executable).with_name("node"))
    esbuild = str(GALLERY / "node_modules" / "esbuild" / "bin" / "esbuild")
    modules = {"NODE_PATH": str(GALLERY / "node_modules")}
    return subprocess.run(
        [node, esbuild, "host.js", "--bundle", "--minify", "--format=iife"],
        cwd=HERE,
        env=os.environ | modules,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
