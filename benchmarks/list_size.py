"""The size of tools/list, which every agent reads before its first call."""

import json
from dataclasses import dataclass
from typing import Any

from .children import server_command
from .stdio_driver import list_tools

AIM_BYTES = 9 * 1024


@dataclass(frozen=True)
class ListSize:
    """Bytes of the result's `tools` as compact JSON in UTF-8."""

    total_bytes: int
    bytes_by_tool: dict[str, int]
    aim_bytes: int = AIM_BYTES


def measure_list_size() -> ListSize:
    """Ask the installed server for its tools and count."""
    tools = list_tools(server_command()).tools
    return ListSize(
        total_bytes=size_bytes(tools),
        bytes_by_tool={tool["name"]: size_bytes(tool) for tool in tools},
    )


def size_bytes(value: Any) -> int:
    """Bytes of a value as compact JSON in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
