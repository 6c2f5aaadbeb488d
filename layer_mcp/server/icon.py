"""The server's picture in lists of hosts: three sheets, one above the other."""

import base64

from mcp.types import Icon

# Each answer of 2026-07-28 names the server, icon included: so it is small.
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#7657ff" '
    'stroke-width="2" stroke-linejoin="round">'
    '<path d="m12 3 9 4.5-9 4.5-9-4.5zm-9 9 9 4.5 9-4.5m-18 4.5 9 4.5 9-4.5"/></svg>'
)


def server_icon() -> Icon:
    """The icon as part of the server's own description."""
    data = base64.b64encode(SVG.encode()).decode()
    return Icon(src=f"data:image/svg+xml;base64,{data}", mime_type="image/svg+xml", sizes=["any"])
