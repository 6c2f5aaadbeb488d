"""One file a tool: its model, its description, its function."""

from mcp.server.mcpserver.tools import Tool

from .execute_inference import execute_inference_tool
from .get_status import get_status_tool


def all_tools() -> list[Tool]:
    """Every tool, in the order in which clients see them."""
    return [execute_inference_tool(), get_status_tool()]
