"""The reference for start-up and calls: a server on the same SDK that does nothing.

Without options it speaks stdio and has no tools. `--noop` adds a tool that does nothing, `--get`
one that sends a GET with httpx, `--sleep` one that sleeps. `--http` serves as `layer-mcp serve
--http` does: stateless, on a free loopback port, with the URL on stderr.
"""

import sys
from typing import Any

from mcp.server.mcpserver import MCPServer

HOST = "127.0.0.1"
PATH = "/mcp"


def empty_server() -> MCPServer[Any]:
    """Create a server without tools."""
    return MCPServer("empty")


def noop_server() -> MCPServer[Any]:
    """Create a server with one tool, which does nothing."""
    server = MCPServer("noop", log_level="WARNING")
    server.tool()(noop)
    return server


def get_server() -> MCPServer[Any]:
    """Create a server with one tool, which sends a GET and returns its text."""
    import httpx  # noqa: PLC0415

    http = httpx.AsyncClient(trust_env=False)

    async def get(url: str, token: str) -> str:
        answer = await http.get(url, headers={"Authorization": f"Bearer {token}"})
        return answer.raise_for_status().text

    server = MCPServer("get", log_level="WARNING")
    server.tool()(get)
    return server


def sleep_server() -> MCPServer[Any]:
    """Create a server with one tool, which sleeps."""
    import anyio  # noqa: PLC0415

    async def sleep(seconds: float) -> str:
        await anyio.sleep(seconds)
        return ""

    server = MCPServer("sleep", log_level="WARNING")
    server.tool()(sleep)
    return server


async def noop() -> str:
    """Do nothing."""
    return ""


def serve_http(server: MCPServer[Any]) -> None:
    """Serve until a signal stops it."""
    # Startup is measured over stdio, which needs none of them.
    import anyio  # noqa: PLC0415
    import uvicorn  # noqa: PLC0415

    from layer_mcp.network import listen  # noqa: PLC0415

    with listen(HOST, 0) as listener:
        print(f"http://{HOST}:{listener.getsockname()[1]}{PATH}", file=sys.stderr, flush=True)
        app = server.streamable_http_app(streamable_http_path=PATH, stateless_http=True, host=HOST)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
        anyio.run(uvicorn.Server(config).serve, [listener])


def main() -> None:
    """Serve as the options say."""
    servers = {"--noop": noop_server, "--get": get_server, "--sleep": sleep_server}
    create = next((servers[option] for option in sys.argv if option in servers), empty_server)
    server = create()
    if "--http" in sys.argv:
        serve_http(server)
    else:
        server.run()


if __name__ == "__main__":
    main()
