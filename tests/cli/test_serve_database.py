"""A server whose database rejects its settings doesn't start, and says why in one sentence."""

import subprocess

import pytest

from ..support.hosts import SCRIPT, child_environment
from ..support.postgres_server import PostgresServer


@pytest.mark.process
@pytest.mark.parametrize("options", [["--http", "--port", "0"], []], ids=["http", "stdio"])
def test_a_missing_database_is_refused_at_the_start(
    options: list[str], environment: dict[str, str], postgres_server: PostgresServer
) -> None:
    settings = environment | {"LAYER_DATABASE_URL": postgres_server.url("nothing")}
    done = subprocess.run(
        [SCRIPT, "serve", *options],
        env=child_environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("layer-mcp: The journal can't be used: ")
