"""Fixtures: plain HTTP clients of the sandbox's two hosts."""

from collections.abc import Iterator

import httpx
import pytest

from layer_mcp.sandbox import RunningSandbox

from ..support.sandbox_calls import api_of


@pytest.fixture
def api(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    """A client of the API for the sandbox's workspace."""
    with api_of(sandbox) as client:
        yield client


@pytest.fixture
def storage() -> Iterator[httpx.Client]:
    """A client of the storage host, which takes no credentials."""
    with httpx.Client(trust_env=False) as client:
        yield client
