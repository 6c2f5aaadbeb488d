"""How Sphinx builds these pages: `make docs`, without network."""

from layer_mcp import __version__

project = "layer-mcp"
author = "The layer-mcp authors"
project_copyright = author
release = version = __version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
# The first is what a forge shows for the folder; index.md has the same text.
exclude_patterns = ["README.md", "_build", "generator"]
suppress_warnings: list[str] = []

myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

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

# Links that work on a forge, and where they lead in the built pages.
ON_THE_FORGE = {
    "](../README.md": "](index.md",
    "](README.md": "](index.md",
    "](../CHANGELOG.md": "](changelog.md",
    "](../CONTRIBUTING.md": "](contributing.md",
    "](../SECURITY.md": "](security.md",
}


def _lead_to_pages(_app: object, _page: str, text: list[str]) -> None:
    for forge, built in ON_THE_FORGE.items():
        text[0] = text[0].replace(forge, built)


def setup(app: object) -> None:
    """Sphinx calls this once."""
    app.connect("source-read", _lead_to_pages)  # type: ignore[attr-defined]
