"""A host of MCP Apps in a real browser: the public bridge, a sandboxed frame, the real server."""

from .host import GalleryHost, Shown, chromium, gallery_host

__all__ = ["GalleryHost", "Shown", "chromium", "gallery_host"]
