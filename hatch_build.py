"""Adapt the README for package indexes, which can't show files from the repository."""

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"<img [^>]*src=\"(?!https?:)[^>]*>\n?|!\[[^]]*\]\((?!https?:)[^)]*\)\n?")
LINK = re.compile(r"\[([^]]*)\]\((?!https?:|#)[^)]*\)")


class IndexPage(MetadataHookInterface):
    """Sets the description of the wheel and the sdist."""

    def update(self, metadata: dict[str, object]) -> None:
        """Leave out the pictures of the repository; of links to its files, keep the words."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        text = LINK.sub(r"\1", PICTURE.sub("", text))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
