"""The probes of a server: alive while it answers, ready while its database does."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from layer_mcp.runs.journal.databases.sqlite import FILE_NAME
from layer_mcp.server.http.drain import Drain
from layer_mcp.server.http.guard import guard
from layer_mcp.server.http.hosts import AllowedHosts
from layer_mcp.server.http.probes import Readiness

from ...support.http_process import Server, http_process

UNREACHABLE = "http://127.0.0.1:9"


@contextmanager
def server_on(environment: dict[str, str], folder: Path) -> Generator[Server]:
    with http_process(environment | {"LAYER_STATE_DIR": str(folder / "state")}, folder) as server:
        yield server


def probe(server: Server, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    url = f"http://127.0.0.1:{server.port}{path}"
    return httpx.request(method, url, headers=headers, trust_env=False, timeout=20)


@pytest.mark.process
def test_an_outage_of_layer_fails_no_probe(environment: dict[str, str], tmp_path: Path) -> None:
    with server_on(environment | {"LAYER_API_URL": UNREACHABLE}, tmp_path) as server:
        assert probe(server, "/livez").status_code == 200
        assert probe(server, "/readyz").status_code == 200


@pytest.mark.process
def test_a_database_that_is_blocked_fails_only_readiness(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    with (
        closing(sqlite3.connect(tmp_path / "state" / FILE_NAME, isolation_level=None)) as other,
        server_on(environment, tmp_path) as server,
    ):
        other.execute("BEGIN EXCLUSIVE")
        ready = probe(server, "/readyz")
        assert (ready.status_code, ready.text) == (503, "database")
        assert probe(server, "/livez").text == "ok"
        other.execute("ROLLBACK")


@pytest.mark.process
def test_a_database_that_keeps_nothing_fails_readiness(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with server_on(environment, tmp_path) as server:
        ready = probe(server, "/readyz")
    assert (ready.status_code, ready.text) == (503, "database")


@pytest.mark.process
def test_a_probe_by_address_is_answered(environment: dict[str, str], tmp_path: Path) -> None:
    with server_on(environment, tmp_path) as server:
        for path in ("/livez", "/readyz"):
            assert probe(server, path, Host="10.1.2.3:8750").status_code == 200
            assert probe(server, path, "POST").headers["Allow"] == "GET, HEAD"


@pytest.mark.anyio
async def test_a_host_that_the_guard_refuses_fails_readiness() -> None:
    async def count_queued() -> int:
        return 0

    async def app(*_: object) -> None:
        raise AssertionError("The guard answers.")

    guarded = guard(app, AllowedHosts(is_local=True))
    right = Readiness(count_queued, guarded, "localhost:8750", Drain())
    wrong = Readiness(count_queued, guarded, "mcp.example.com", Drain())
    assert (await right.problems(), await wrong.problems()) == ([], ["host"])
