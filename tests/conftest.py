"""Fixtures: a sandbox for each test, and the server over every transport and protocol era."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from layer_mcp.sandbox import Knobs, RunningSandbox, SandboxState, running_sandbox

from .support import fault_table
from .support.hosts import ALL_HOSTS, EACH_WAY_ONCE

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from .support.gallery_host import GalleryHost

BASIC = ("test_behaviour", "test_approval", "test_hostile_hosts", "test_races")

pytest_terminal_summary = fault_table.pytest_terminal_summary


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for each `host`: the basic behaviour over all, the rest over each way once."""
    if "host" in metafunc.fixturenames and not _chooses_its_hosts(metafunc):
        hosts = ALL_HOSTS if metafunc.definition.path.stem in BASIC else EACH_WAY_ONCE
        metafunc.parametrize("host", hosts, ids=str)


def _chooses_its_hosts(metafunc: pytest.Metafunc) -> bool:
    marks = metafunc.definition.iter_markers("parametrize")
    names = [mark.args[0] for mark in marks]
    return any(
        "host" in (name.split(",") if isinstance(name, str) else list(name)) for name in names
    )


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """A sandbox whose runs end at once; tests turn its knobs."""
    with running_sandbox(SandboxState(knobs=Knobs(run_seconds=0))) as running:
        yield running


@pytest.fixture
def environment(
    sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The settings that point a server at the sandbox; its folders are the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return {
        "LAYER_STATE_DIR": str(tmp_path / "state"),
        "LAYER_API_URL": sandbox.api_url,
        "LAYER_API_KEY": sandbox.token,
        "LAYER_WORKSPACE_ID": sandbox.workspace_id,
    }


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> "AsyncIterator[Browser]":
    """A real browser for the tests of a file."""
    from .support.gallery_host import chromium

    async with chromium() as running:
        yield running


@pytest.fixture
async def gallery(browser: "Browser", environment: dict[str, str]) -> "AsyncIterator[GalleryHost]":
    """A host that shows answers in the gallery."""
    from .support.gallery_host import gallery_host

    async with gallery_host(browser, environment) as opened:
        yield opened
