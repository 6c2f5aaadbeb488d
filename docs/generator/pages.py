"""Which pages have parts that are made from the code, and what makes each part."""

from pathlib import Path

from .errors import error_tables
from .lists import check_list, client_files, client_table, prompt_table, resource_table
from .names import public_names
from .regions import Maker, renewed
from .settings import settings_table
from .tools import nested_fields, request_fields, tool_sections, tool_table

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

MAKERS: dict[str, Maker] = {
    "client-files": client_files,
    "clients": client_table,
    "checks": check_list,
    "errors": error_tables,
    "nested-fields": nested_fields,
    "prompts": prompt_table,
    "public-names": public_names,
    "request-fields": request_fields,
    "resources": resource_table,
    "settings": settings_table,
    "tool-sections": tool_sections,
    "tools": tool_table,
}


def current(page: Path) -> str:
    """The page as it has to be."""
    return renewed(page.read_text(encoding="utf-8"), MAKERS)
