"""What manifest.json says of the server's tools and prompts, read from the server."""

import json
from pathlib import Path
from typing import Any

from layer_mcp import __version__
from layer_mcp.server.prompts import JOBS
from layer_mcp.server.tools import tools_of

from .requirements import ROOT

MANIFEST = ROOT / "manifest.json"


def manifest() -> dict[str, Any]:
    """The committed manifest with what is generated in it: version, tools and prompts."""
    return read_json(MANIFEST) | {
        "version": __version__,
        "tools": [{"name": tool.name, "description": tool.title} for tool in tools_of()],
        "prompts": [
            {
                "name": job.name,
                "description": job.title,
                "arguments": [argument.name for argument in job.arguments],
                "text": job.goal,
            }
            for job in JOBS
        ],
    }


def read_json(path: Path) -> dict[str, Any]:
    """An object from a file."""
    return json.loads(path.read_text(encoding="utf-8"))


def as_text(content: dict[str, Any]) -> str:
    """An object as it is written to a file."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
