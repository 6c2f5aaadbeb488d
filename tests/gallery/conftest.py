"""Chromium, and a host in it."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from ..support.gallery_host import GalleryHost, chromium, gallery_host


@pytest.fixture(scope="package")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    """Chromium for all tests of this folder. They are skipped when it isn't installed."""
    async with chromium() as running:
        yield running


@pytest.fixture
async def gallery(browser: Browser, environment: dict[str, str]) -> AsyncIterator[GalleryHost]:
    """A host that shows answers in the gallery."""
    async with gallery_host(browser, environment) as opened:
        yield opened
