"""Compare the server list that docs/attach.md shows for a host with what the host prints."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "attach.md"
READERS_COMMAND = "/home/you/layer-mcp/.venv/bin/layer-mcp"
OUR_SETTINGS = "LAYER_"


def missing_words(host: str, command: str, listed: str) -> set[str]:
    """Return the words on the page that the host doesn't print; `command` starts the server here.

    The settings in an entry differ from the page's.
    """
    shown = _shown_list(host).replace(READERS_COMMAND, command)
    words = {word for word in shown.split() if not word.startswith(OUR_SETTINGS)}
    return words - set(listed.split())


def _shown_list(host: str) -> str:
    """Return the list in the page's section.

    Raises:
        StopIteration: the section has none.
    """
    block = rf"<!-- not compared: {host} prints it, in make interop -->\n```text\n(.*?)```"
    blocks = re.findall(block, PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return next(text for text in blocks if READERS_COMMAND in text)
