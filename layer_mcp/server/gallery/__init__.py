"""The gallery: one page that shows runs in hosts that support MCP Apps.

The page is built from the repository's `gallery/` folder. Hosts without the extension
(`io.modelcontextprotocol/ui`) never request it, and their tool results do not change.
"""

from pathlib import Path

from mcp.server.apps import APP_MIME_TYPE, Apps, ResourceCsp
from mcp.server.mcpserver.resources import FileResource
from mcp.server.mcpserver.tools import Tool

from ...api.host_rules import LAYER_MEDIA_HOST, host_rules
from ...settings import Settings

GALLERY_URI = "ui://gallery"
PAGE = Path(__file__).with_name("gallery.html")
SHOWN_IN_IT = frozenset(
    {
        "execute_inference",
        "get_status",
        "list_runs",
        "execute_workflow",
        "get_workflow_status",
    }
)
# The sandbox serves files from a port that changes with every start.
THIS_MACHINE = ("http://127.0.0.1:*", "http://localhost:*")


def gallery(settings: Settings) -> Apps:
    """Create the extension that serves the page; the file is read when a host requests it."""
    apps = Apps()
    media = list(media_sources(settings))
    csp = ResourceCsp(connect_domains=media, resource_domains=media)
    apps.add_resource(
        FileResource(
            uri=GALLERY_URI,
            name="gallery",
            title="Layer gallery",
            description="Shows runs and their files; for hosts with MCP Apps.",
            mime_type=APP_MIME_TYPE,
            path=PAGE,
            encoding="utf-8",
            meta={"ui": {"csp": csp.model_dump(by_alias=True, exclude_none=True)}},
        )
    )
    return apps


def shown_in_gallery(tool: Tool) -> Tool:
    """Add the page to a tool whose answers it can show; return other tools unchanged."""
    if tool.name not in SHOWN_IN_IT:
        return tool
    return tool.model_copy(update={"meta": {"ui": {"resourceUri": GALLERY_URI}}})


def media_sources(settings: Settings) -> tuple[str, ...]:
    """Return the content security policy sources from which the page may load outputs.

    These are the hosts of `host_rules`, without the API's own host unless it is on this machine.
    """
    hosts = sorted({LAYER_MEDIA_HOST, *(host.lower() for host in settings.media_hosts)})
    local = host_rules(settings.api_url).loopback
    return (*(f"https://{host}" for host in hosts), *(THIS_MACHINE if local else ()))
