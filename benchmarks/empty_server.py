"""The reference for start-up: a server on the same SDK without tools."""

from mcp.server.mcpserver import MCPServer

if __name__ == "__main__":
    MCPServer("empty").run()
