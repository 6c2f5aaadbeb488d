"""What a server offers, and the part of it that a caller wants to see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcp.server.mcpserver.tools import Tool

from ...settings import Settings, Toolset
from ..http.upload_links import UploadLinks
from ..instructions import instructions
from ..prompts import Job, select_jobs
from ..tool import is_read_only
from ..tools import tools_by_toolset
from .caller import Caller


@dataclass(frozen=True)
class Offer:
    """The names of the tools, the jobs of the prompts, and the instructions."""

    tools: frozenset[str]
    jobs: Mapping[str, Job]
    instructions: str


class Offers:
    """The offer of a server, and the parts of it. `notes` are added to the instructions."""

    def __init__(self, settings: Settings, upload_links: UploadLinks | None, notes: str) -> None:
        self._settings = settings
        self._notes = notes
        self._saves_by_itself = settings.output_dir is not None
        self._tools = tools_by_toolset(
            settings.toolsets,
            saves_by_itself=self._saves_by_itself,
            uses_disk=settings.uses_disk,
            upload_links=upload_links,
        )
        # Few, because a caller can only choose among the toolsets.
        self._parts: dict[tuple[tuple[Toolset, ...], bool], Offer] = {}

    @property
    def tools(self) -> list[Tool]:
        """All tools, in the order in which clients see them."""
        return [tool for tools in self._tools.values() for tool in tools]

    @property
    def spending_tools(self) -> frozenset[str]:
        """The names of the tools that change something."""
        return frozenset(tool.name for tool in self.tools if not is_read_only(tool))

    def for_caller(self, caller: Caller) -> Offer:
        """Return the part that a caller sees."""
        wanted = caller.toolsets
        toolsets: tuple[Toolset, ...] = tuple(
            one for one in self._tools if wanted is None or one in wanted
        )
        key = (toolsets, caller.is_read_only)
        if key not in self._parts:
            self._parts[key] = self._select(toolsets, can_change=not caller.is_read_only)
        return self._parts[key]

    def _select(self, toolsets: Sequence[Toolset], *, can_change: bool) -> Offer:
        tools = [
            tool.name
            for toolset in toolsets
            for tool in self._tools[toolset]
            if can_change or is_read_only(tool)
        ]
        text = instructions(
            toolsets,
            saves_by_itself=self._saves_by_itself,
            confirm_above=self._settings.confirm_above,
            uses_disk=self._settings.uses_disk,
            can_change=can_change,
        )
        jobs = select_jobs(tools, saves_by_itself=self._saves_by_itself)
        return Offer(frozenset(tools), jobs, text + self._notes)
