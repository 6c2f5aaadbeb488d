"""Layer's REST API over HTTP; knows nothing of MCP."""
