"""The reference for a call: a server on the same SDK whose only tool does nothing.

Speaks stdio, or with `--http` streamable HTTP as `layer-mcp serve --http` does it: stateless, on
any free port of loopback, with the address on stderr.
"""

import sys

from mcp.server.mcpserver import MCPServer

from layer_mcp.network import listen

HOST = "127.0.0.1"
PATH = "/mcp"


def noop_server() -> MCPServer:
    """The server."""
    server = MCPServer("noop", log_level="WARNING")
    server.tool()(noop)
    return server


async def noop() -> str:
    """Do nothing."""
    return ""


def serve_http(server: MCPServer) -> None:
    """Serve until a signal ends it."""
    import uvicorn  # noqa: PLC0415  (stdio needs no HTTP)

    with listen(HOST, 0) as listener:
        print(f"http://{HOST}:{listener.getsockname()[1]}{PATH}", file=sys.stderr, flush=True)
        app = server.streamable_http_app(streamable_http_path=PATH, stateless_http=True, host=HOST)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    if "--http" in sys.argv:
        serve_http(noop_server())
    else:
        noop_server().run()
