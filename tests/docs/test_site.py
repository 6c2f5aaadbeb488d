"""The pages build without a warning, and the site is complete and needs no network."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from ..support.samples import ROOT

pytestmark = pytest.mark.build

if TYPE_CHECKING:
    from playwright.async_api import Browser

LOADED = re.compile(r"<(?:img|script|link|iframe|source)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"")
LINKED = re.compile(r"<a\b[^>]*?\bhref=\"([^\"]+)\"")
IDS = re.compile(r"\bid=\"([^\"]+)\"")
PHONE = {"width": 390, "height": 800}
BUILD_SECONDS = 90


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages; the processes of one test run share them."""
    base = tmp_path_factory.getbasetemp()
    place = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    built, said = place / "site", place / "site.txt"
    try:
        built.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + BUILD_SECONDS
        while not said.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
    else:
        build(built, said)
    assert said.read_text(encoding="utf-8") == ""
    return built


def build(built: Path, said: Path) -> None:
    """What `make docs` does; `said` gets what Sphinx has to say, nothing when all is well."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-b", "html"]
    folders = ["-d", str(built.with_name("doctrees")), str(ROOT / "docs"), str(built)]
    done = subprocess.run(
        [*command, *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    ready = said.with_suffix(".part")
    ready.write_text(done.stderr if done.returncode else "", encoding="utf-8")
    ready.rename(said)


def pages(site: Path) -> list[Path]:
    return sorted(site.glob("*.html"))


def found_in(page: Path, pattern: re.Pattern[str]) -> list[str]:
    return [one[1] for one in pattern.finditer(page.read_text(encoding="utf-8"))]


def test_make_docs_uses_the_same_build() -> None:
    made = subprocess.run(
        ["make", "--dry-run", "docs"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "-m docs.generator" in made
    assert "-m sphinx -q -W --keep-going -n -b html" in made


def test_every_page_is_built(site: Path) -> None:
    written = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"README"}
    assert written <= {page.stem for page in pages(site)}


def test_a_page_loads_nothing_from_other_machines(site: Path) -> None:
    for page in pages(site):
        for address in found_in(page, LOADED):
            parts = urlsplit(address)
            assert not parts.scheme, address
            assert (page.parent / unquote(parts.path)).exists(), f"{page.name}: {address}"


def test_every_link_of_a_built_page_has_a_target(site: Path) -> None:
    ids = {page: set(found_in(page, IDS)) for page in pages(site)}
    for page in pages(site):
        for address in found_in(page, LINKED):
            parts = urlsplit(address)
            if parts.scheme:
                continue
            target = page.parent / unquote(parts.path) if parts.path else page
            assert target.exists(), f"{page.name}: {address}"
            if parts.fragment and target in ids:
                assert parts.fragment in ids[target], f"{page.name}: {address}"


@pytest.mark.anyio
async def test_no_page_is_wider_than_a_phone(site: Path, browser: "Browser") -> None:
    window = await browser.new_page(viewport=PHONE)  # pyright: ignore[reportArgumentType]
    for page in pages(site):
        await window.goto(page.as_uri())
        assert await window.evaluate("document.documentElement.scrollWidth") <= 390, page.name
    await window.close()


@pytest.mark.anyio
async def test_the_search_finds_a_code_without_a_server(site: Path, browser: "Browser") -> None:
    window = await browser.new_page()
    await window.goto(f"{(site / 'search.html').as_uri()}?q=SPENDING_LIMIT_REACHED")
    await window.wait_for_selector("#search-results li a[href^='errors.html']")
    await window.close()
