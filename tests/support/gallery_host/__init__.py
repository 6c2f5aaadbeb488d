"""An MCP Apps host in a real browser: the public bridge, a sandboxed frame, and the real server."""

from .host import GalleryHost, Shown, as_json, chromium, gallery_host
from .textured import textured_square

__all__ = ["GalleryHost", "Shown", "as_json", "chromium", "gallery_host", "textured_square"]
