"""Our own server in this process, called as any MCP client calls it.

So the journal, the limits on prices, the saving and the errors are those that agents meet.
"""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
from mcp import Client, MCPError
from mcp.client import ClientRequestContext
from mcp.types import (
    CallToolResult,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
    ImageContent,
)

from ..server.app import create_server
from ..settings import Settings

NO_HOST_LIMIT_SECONDS = 3600

ResultT = TypeVar("ResultT")

OnProgress = Callable[[float, float | None, str], None]
"""Told how much is done, of how much if that is known, and in words."""

Ask = Callable[[str], bool | None]
"""Asks the person; None for no answer. May raise KeyboardInterrupt."""


class RefusedError(Exception):
    """A call that failed; `content` is what the tool answered: the error and the next step.

    `step_for_people` is what a person can do, where a command knows better.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(content["error"]["message"])
        self.content = content
        self.step_for_people: str | None = None

    @property
    def code(self) -> str:
        """The stable code."""
        return self.content["error"]["code"]


def refusal(code: str, message: str, next_step: str) -> RefusedError:
    """A failure of a command's own, in the form that tools answer."""
    return RefusedError({"error": {"code": code, "message": message}, "next_step": next_step})


@dataclass(frozen=True)
class ToolAnswer:
    """The structured content of a call, and the small picture if there is one."""

    content: dict[str, Any]
    picture: bytes | None


class Server:
    """The tools, as functions."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(
        self, tool: str, arguments: dict[str, Any], on_progress: OnProgress | None = None
    ) -> ToolAnswer:
        """Call a tool.

        Raises:
            RefusedError: it answered with an error.
        """

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            if on_progress is not None:
                on_progress(progress, total, message or "")

        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            result = await self._client.call_tool(tool, given, progress_callback=tell)
        except MCPError as error:
            raise refusal("CALL_FAILED", str(error), "Try again.") from None
        content = _content(result)
        if result.is_error:
            raise RefusedError(content)
        pictures = [block.data for block in result.content if isinstance(block, ImageContent)]
        return ToolAnswer(content, base64.b64decode(pictures[0]) if pictures else None)


def with_server(
    settings: Settings, work: Callable[[Server], Awaitable[ResultT]], ask: Ask | None = None
) -> ResultT:
    """What `work` comes to, with a server of these settings; `ask` is for prices.

    Raises:
        RefusedError: a tool answered with an error.
        SettingsError: the server cannot be made.
        KeyboardInterrupt: the person ended it; what was being sent has its answer by then.
    """
    return anyio.run(_worked, settings, work, ask)


async def _worked(
    settings: Settings, work: Callable[[Server], Awaitable[ResultT]], ask: Ask | None
) -> ResultT:
    server = create_server(settings)
    person = _Person(ask) if ask else None
    failure: Exception | None = None
    async with Client(server, elicitation_callback=person) as client:
        # The client's task group would wrap what leaves this block in an ExceptionGroup.
        try:
            return await work(Server(client))
        except Exception as error:
            failure = error
    if person is not None and person.has_left:
        raise KeyboardInterrupt
    raise failure


class _Person:
    """Answers the server's questions; one that leaves with Ctrl+C gives no answer."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.has_left = False

    async def __call__(
        self, context: ClientRequestContext, params: ElicitRequestParams
    ) -> ElicitResult | ErrorData:
        try:
            agreed = self._ask(params.message)
        # In a task of the client it would end the event loop.
        except KeyboardInterrupt:
            self.has_left = True
            agreed = None
        if agreed is None:
            return ElicitResult(action="cancel")
        return ElicitResult(action="accept", content={"approve": agreed})


def _content(result: CallToolResult) -> dict[str, Any]:
    if result.structured_content is not None:
        return result.structured_content
    texts = [block.text for block in result.content if block.type == "text"]
    return refusal("CALL_FAILED", " ".join(texts), "Try again.").content
