"""The README as the page of a package index shows it, where there are no files beside it."""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"<img [^>]*src=\"(?!https?:)[^>]*>\n?|!\[[^]]*\]\((?!https?:)[^)]*\)\n?")
LINK = re.compile(r"\[([^]]*)\]\((?!https?:|#)[^)]*\)")


class IndexPage(MetadataHookInterface):
    """Gives the wheel and the sdist their description."""

    def update(self, metadata: dict[str, object]) -> None:
        """Leave out the pictures of the repository; of links to its files, keep the words."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = LINK.sub(r"\1", PICTURE.sub("", text))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
