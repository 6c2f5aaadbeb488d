"""Chromium."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from ..support.gallery_host import chromium


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium for one test, which is skipped when it isn't installed.

    A browser for several tests would keep an event loop open, and others here start their own.
    """
    async with chromium() as running:
        yield running
