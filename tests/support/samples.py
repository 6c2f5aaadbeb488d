"""The commands, programs, and transcripts in the README and the pages, found in their Markdown.

A block in `sh` has one command per line. A block in `python` is a program, or a test file if it has
a test. A block in `text` after one of them is its output. Other blocks are data in their language.
Generated parts are left out. A comment on the line before a block says why it isn't run or
compared: `<!-- not run: why -->`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from docs.generator.pages import without_parts

ROOT = Path(__file__).parents[2]
AT_THE_ROOT = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = (*(ROOT / name for name in AT_THE_ROOT), *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(
    r"(?:^<!-- not (?:run|compared): (?P<why>[^>]+) -->\n)?"
    r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
# For the page generator, not for readers.
DIRECTIVES = ("{include}", "{toctree}")

DIFFERS = (
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>"),
    (r'batch_id "[0-9a-f]{12}"', "<batch>"),
    (r"\bbatch [0-9a-f]{12}\b", "<batch>"),
    (r"/\S*/(layer-(?:session|batch)/)", r"\1"),
    (r"-[0-9a-f]{8}(-\d+\.\w+)", r"-<id>\1"),
    (r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:<port>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"(?<=  )\d+ (?:s|min)(?=  )|\b\d+ \w+ ago|\bjust now", "<age>"),
    (r" {2,}", "  "),
)


@dataclass(frozen=True)
class Block:
    """A block on a page, numbered from 1; `why_not` is set if it isn't run or compared."""

    page: str
    number: int
    language: str
    text: str
    why_not: str | None = None

    def __str__(self) -> str:
        return f"{self.page}-{self.number}"


@dataclass(frozen=True)
class Sample:
    """A block that's run, and the output that the page shows for it."""

    block: Block
    printed: str | None


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks on a page, in order."""
    text = without_parts(page.read_text(encoding="utf-8"))
    name = page.relative_to(ROOT).as_posix()
    found = [one for one in BLOCK.finditer(text) if not one["language"].startswith(DIRECTIVES)]
    return [
        Block(name, number, one["language"], one["text"], one["why"])
        for number, one in enumerate(found, 1)
    ]


def all_blocks(language: str | None = None) -> list[Block]:
    """Return the blocks on all pages, or those in one language."""
    return [
        block
        for page in PAGES
        for block in blocks_of(page)
        if language is None or block.language == language
    ]


def samples_of(page: Path, language: str) -> Iterator[Sample]:
    """Yield the blocks in one language, each with the transcript that follows it."""
    blocks = blocks_of(page)
    for block, following in zip_longest(blocks, blocks[1:]):
        if block is not None and block.language == language:
            yield Sample(block, _transcript(following))


def _transcript(block: Block | None) -> str | None:
    if block is None or block.language != "text" or block.why_not is not None:
        return None
    return block.text


def programs() -> list[Sample]:
    """Return every Python program to run."""
    samples = [sample for page in PAGES for sample in samples_of(page, "python")]
    return [sample for sample in samples if sample.block.why_not is None]


def commands_of(block: Block) -> list[str]:
    """Return the commands in an `sh` block."""
    return block.text.splitlines()


def without_what_differs(printed: str) -> str:
    """Return a transcript without the IDs, folders, ports, times, and widths of a single run."""
    for pattern, word in DIFFERS:
        printed = re.sub(pattern, word, printed)
    return "\n".join(line.rstrip() for line in printed.strip().splitlines())
