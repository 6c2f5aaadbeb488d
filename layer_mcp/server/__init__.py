"""The MCP server: the tools, prompts, and resources that an agent uses."""
