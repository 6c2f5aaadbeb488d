"""What docs/attach.md shows of a host's own list of servers, compared with what it prints."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "attach.md"
READERS_COMMAND = "/home/you/layer-mcp/.venv/bin/layer-mcp"
OUR_SETTINGS = "LAYER_"


def missing_words(host: str, command: str, listed: str) -> set[str]:
    """The words of the page that the host does not print; `command` starts the server here.

    Which settings an entry has differs from the page's.
    """
    shown = _shown_list(host).replace(READERS_COMMAND, command)
    words = {word for word in shown.split() if not word.startswith(OUR_SETTINGS)}
    return words - set(listed.split())


def _shown_list(host: str) -> str:
    """The list in the page's section.

    Raises:
        StopIteration: it shows none.
    """
    block = rf"<!-- not compared: {host} prints it, in make interop -->\n```text\n(.*?)```"
    blocks = re.findall(block, PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return next(text for text in blocks if READERS_COMMAND in text)
