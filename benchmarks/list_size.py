"""The size of tools/list, which every agent reads before its first call."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .children import server_command
from .stdio_driver import list_tools

AIM_BYTES = 20_000
AIM_OF_ALL_BYTES = 26_600


@dataclass(frozen=True)
class ListSize:
    """Bytes of the result's `tools` as compact JSON in UTF-8."""

    total_bytes: int
    bytes_by_tool: dict[str, int]
    aim_bytes: int


@dataclass(frozen=True)
class ListSizes:
    """The list as it is without any setting, and with all toolsets."""

    default: ListSize
    all_toolsets: ListSize


def measure_list_sizes() -> ListSizes:
    """Ask the installed server for its tools and count, with either choice of tools."""
    return ListSizes(
        default=_list_size(server_command(), AIM_BYTES),
        all_toolsets=_list_size(server_command("--toolsets", "all"), AIM_OF_ALL_BYTES),
    )


def size_bytes(value: Any) -> int:
    """Bytes of a value as compact JSON in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _list_size(command: Sequence[str], aim_bytes: int) -> ListSize:
    tools = list_tools(command).tools
    return ListSize(
        total_bytes=size_bytes(tools),
        bytes_by_tool={tool["name"]: size_bytes(tool) for tool in tools},
        aim_bytes=aim_bytes,
    )
