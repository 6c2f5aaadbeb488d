"""Chromium."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from ..support.gallery_host import chromium


@pytest.fixture(scope="package")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    """Chromium for all tests of this folder. They are skipped when it isn't installed."""
    async with chromium() as running:
        yield running
