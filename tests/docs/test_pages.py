"""The pages match the code, and their links have targets."""

import json
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from docs.generator.pages import GENERATORS, parts_of, updated
from layer_mcp.sandbox import Fault, Knobs, SandboxState

from ..support.hosts import IMAGE_MODEL, MEMORY, content_of
from ..support.samples import BLOCK, PAGES, ROOT, blocks_of

LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)|\b(?:src|href)=\"([^\"]+)\"")
FILE = re.compile(
    r"`((?:layer_mcp|server|api|runs|cli|clients|doctor|sandbox|tests|docs|interop|benchmarks|gallery)/[\w/]+(?:\.\w+|/))`"
)
HEADING = re.compile(r"^#{1,4} (.+)$", re.MULTILINE)
# The first built page, and pages that include a file from the root.
ONLY_BUILT = {"index.md", "changelog.md", "contributing.md", "security.md"}
# Internal to the sandbox.
INNER = {"signing_key", "uploads", "upload_sessions", "token", "media_url"}


def text_of(page: Path) -> str:
    """Return a page without its code blocks."""
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def links_of(page: Path) -> list[str]:
    return [one or other for one, other in LINK.findall(text_of(page))]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    headings = [re.sub(r"[`*]", "", one) for one in HEADING.findall(text_of(page))]
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_match_the_code(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == updated(page), "run make docs"


def test_every_generator_is_used_on_a_page() -> None:
    used = {name for page in PAGES for name in parts_of(page.read_text(encoding="utf-8"))}
    assert used == GENERATORS.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_has_a_target(page: Path) -> None:
    for link in links_of(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), link
            continue
        target = page.parent / unquote(parts.path) if parts.path else page
        assert target.exists(), link
        assert Path(os.path.abspath(target)).is_relative_to(ROOT), link
        if parts.fragment:
            assert parts.fragment in anchors_of(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_project_file_named_on_a_page_exists(page: Path) -> None:
    for name in FILE.findall(text_of(page)):
        folders = (ROOT, ROOT / "layer_mcp")
        assert any((folder / name).exists() for folder in folders), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_one_title(page: Path) -> None:
    if page.name != "index.md":
        assert len(re.findall(r"^# ", text_of(page), re.MULTILINE)) == 1


def test_the_first_page_links_to_every_page() -> None:
    named = {link.partition("#")[0] for link in links_of(ROOT / "docs" / "README.md")}
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert pages - named == {"README.md", *ONLY_BUILT}


@pytest.mark.parametrize("knobs", [Knobs, Fault, SandboxState])
def test_the_sandbox_page_lists_every_knob_and_field(knobs: Any) -> None:
    page = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    names = {field.name for field in fields(knobs)} - INNER - {"effect"}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


@pytest.mark.anyio
async def test_the_errors_page_shows_the_answer_to_a_failed_call(
    environment: dict[str, str],
) -> None:
    [shown] = [
        block for block in blocks_of(ROOT / "docs" / "errors.md") if block.language == "json"
    ]
    async with MEMORY.connect(environment) as client:
        wrong = {"model_id": IMAGE_MODEL, "promt": "a red potion"}
        answer = content_of(await client.call_tool("execute_inference", wrong))
    assert json.loads(shown.text) == answer
