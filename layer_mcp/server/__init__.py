"""The MCP server: what an agent sees of Layer."""
