"""The server whose access log or metrics the tests of a module read."""

from collections.abc import Iterator

import pytest

from layer_mcp.sandbox import running_sandbox

from ...support.hosts import settings_for
from ...support.http_process import Server, http_process


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for a team, behind a proxy, that writes an access log and serves metrics."""
    folder = tmp_path_factory.mktemp("observed")
    options = ["--insecure-no-auth", "--trust-proxy", "--metrics-port", "0"]
    with (
        running_sandbox() as sandbox,
        http_process(settings_for(sandbox), folder, options=options) as server,
    ):
        yield server
