"""The server's picture in lists of hosts: three sheets, one above the other."""

import base64

from mcp.types import Icon

# Each answer of 2026-07-28 names the server, icon included: so it is small.
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="#7657ff" '
    'd="m12 2 10 5-10 5L2 7zM2 11l10 5 10-5v3l-10 5-10-5zm0 5 10 5 10-5v3l-10 5-10-5z"/></svg>'
)


def server_icon() -> Icon:
    """The icon as part of the server's own description."""
    data = base64.b64encode(SVG.encode()).decode()
    return Icon(src=f"data:image/svg+xml;base64,{data}", mime_type="image/svg+xml", sizes=["any"])
