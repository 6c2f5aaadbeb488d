"""The generated parts of README.md and docs/: what generates each one, and how it is replaced.

A part is between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable
from pathlib import Path

from .errors import error_tables
from .lists import (
    check_list,
    client_files,
    client_table,
    http_settings_table,
    prompt_table,
    resource_table,
    settings_table,
)
from .load import load_figures
from .names import public_names
from .tools import nested_fields, request_fields, tool_sections, tool_table

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
GENERATORS: dict[str, Callable[[], str]] = {
    "client-files": client_files,
    "clients": client_table,
    "checks": check_list,
    "errors": error_tables,
    "http-settings": http_settings_table,
    "load": load_figures,
    "nested-fields": nested_fields,
    "prompts": prompt_table,
    "public-names": public_names,
    "request-fields": request_fields,
    "resources": resource_table,
    "settings": settings_table,
    "tool-sections": tool_sections,
    "tools": tool_table,
}


def updated(page: Path) -> str:
    """Return the text of a page with its generated parts updated.

    Raises:
        KeyError: A part has a name that nothing generates.
    """

    def part(found: re.Match[str]) -> str:
        return f"{found[1]}{GENERATORS[found[2]]().strip()}\n{found[3]}"

    return PART.sub(part, page.read_text(encoding="utf-8"))


def parts_of(text: str) -> list[str]:
    """Return the names of the generated parts of a page."""
    return [found[2] for found in PART.finditer(text)]


def without_parts(text: str) -> str:
    """Return the text of a page without its generated parts."""
    return PART.sub("", text)
