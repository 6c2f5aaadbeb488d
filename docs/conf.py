"""Sphinx configuration for `make docs`, which needs no network."""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from layer_mcp import __version__

project = "layer-mcp"
author = "The layer-mcp authors"
project_copyright = author
release = version = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
# Forges show README.md for the folder; the built docs have a sidebar instead.
exclude_patterns = ["README.md", "_build", "generator"]

myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4

# Commands must be copied with straight quotes.
smartquotes = False

html_theme = "furo"
html_title = "layer-mcp"
html_static_path = ["static"]
html_css_files = ["layer.css"]
html_logo = html_favicon = "static/layer.svg"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#5b3fe0", "color-brand-content": "#5b3fe0"},
    "dark_css_variables": {"color-brand-primary": "#a996ff", "color-brand-content": "#a996ff"},
}

# Tables with this many columns become cards in narrow windows.
MANY_COLUMNS = 3
# Pages that show a file in the root folder, where forges look for it.
FROM_THE_ROOT = {
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "security": "SECURITY.md",
}
# Replaced before Sphinx includes it, so that the links in it are rewritten.
FIRST_PAGE = "```{include} ../README.md\n```\n"
# Links that work on a forge, and their targets in the built docs.
ON_THE_FORGE = {
    "](docs/": "](",
    'src="docs/': 'src="',
    "](../README.md": "](index.md",
    "](README.md": "](index.md",
    **{f"]({name}": f"]({page}.md" for page, name in FROM_THE_ROOT.items()},
    **{f"](../{name}": f"]({page}.md" for page, name in FROM_THE_ROOT.items()},
}


def _lead_to_pages(app: Sphinx, page: str, text: list[str]) -> None:
    if page in FROM_THE_ROOT:
        text[0] = _text(app, f"../{FROM_THE_ROOT[page]}")
    if page == "index":
        text[0] = text[0].replace(FIRST_PAGE, _text(app, "../README.md"))
    for forge, built in ON_THE_FORGE.items():
        text[0] = text[0].replace(forge, built)


def _name_the_columns(_app: Sphinx, doctree: nodes.document, _page: str) -> None:
    """Add the column's name to each cell. Only narrow windows show it (see layer.css)."""
    for table in doctree.findall(nodes.table):
        head, *rows = [list(row.findall(nodes.entry)) for row in table.findall(nodes.row)]
        if len(head) < MANY_COLUMNS:
            continue
        for row in rows:
            for title, cell in list(zip(head, row, strict=True))[1:]:
                paragraph = cell.next_node(nodes.paragraph)
                if paragraph is not None and paragraph.astext():
                    name = f"{title.astext()}: "
                    paragraph.insert(0, nodes.inline(name, name, classes=["column-name"]))


def _text(app: Sphinx, name: str) -> str:
    """Read a file that a page includes, and rebuild the page when the file changes."""
    file = Path(app.srcdir) / name
    app.env.note_dependency(str(file))
    return file.read_text(encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Connect the functions above to the build."""
    app.connect("source-read", _lead_to_pages)
    app.connect("doctree-resolved", _name_the_columns)
