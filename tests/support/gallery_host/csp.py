"""The policy that the extension's specification derives from a resource's `_meta.ui.csp`."""

from typing import Any


def policy(csp: dict[str, Any]) -> str:
    """Return the value of a Content-Security-Policy header."""
    resources = " ".join(csp.get("resourceDomains", []))
    connections = " ".join(csp.get("connectDomains", [])) or "'none'"
    frames = " ".join(csp.get("frameDomains", [])) or "'none'"
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' 'unsafe-inline' {resources}",
            f"style-src 'self' 'unsafe-inline' {resources}",
            f"img-src 'self' data: {resources}",
            f"font-src 'self' {resources}",
            f"media-src 'self' data: {resources}",
            f"connect-src {connections}",
            f"frame-src {frames}",
            "object-src 'none'",
            "base-uri 'none'",
        ]
    )
