"""Doctor looks at a journal in PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from layer_mcp import Settings
from layer_mcp.doctor.storage import check_journal
from layer_mcp.doctor.types import Finding, Setup
from layer_mcp.runs.journal import Journal
from layer_mcp.runs.journal.databases.schema import SCHEMA_VERSION

from ..support.postgres_server import GUARDED_USER, PostgresServer
from ..support.recorded_runs import ACCOUNT, API, another, sending_run, unknown_run
from ..support.storages import PostgresStorage

pytestmark = pytest.mark.anyio

SECRET = "hunter2-hunter2"


@pytest.fixture
def storage(postgres_server: PostgresServer, tmp_path: Path) -> PostgresStorage:
    return PostgresStorage(postgres_server, postgres_server.create_database(), tmp_path)


@pytest.fixture
def journal(storage: PostgresStorage) -> Iterator[Journal]:
    with closing(storage.make_database()) as database:
        yield Journal(database, api_url=API, account=ACCOUNT)


def found(url: str) -> Finding:
    return check_journal(Setup(Settings(database_url=url, api_url=API), environ={}))


def test_a_database_without_a_journal_is_left_empty(storage: PostgresStorage) -> None:
    finding = found(storage.url)
    assert finding.state == "ok"
    assert finding.fact.endswith(", created with the first run")
    assert storage.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'layer_mcp'") == []


async def test_counts_the_servers_that_use_the_database(
    storage: PostgresStorage, journal: Journal
) -> None:
    await journal.spending()
    assert found(storage.url) == Finding(
        "ok",
        f"PostgreSQL at 127.0.0.1/{storage.url.rpartition('/')[2]}: writable, 1 server uses it now",
    )


async def test_counts_the_runs_with_an_unknown_outcome(
    storage: PostgresStorage, journal: Journal
) -> None:
    await unknown_run(journal)
    await sending_run(journal, another())
    assert "1 run has an unknown outcome" in found(storage.url).fact
    storage.expire()
    finding = found(storage.url)
    assert finding.state == "warning"
    assert "2 runs have an unknown outcome" in finding.fact


async def test_finds_a_newer_database(storage: PostgresStorage, journal: Journal) -> None:
    await journal.spending()
    storage.execute(f"UPDATE journal SET version = {SCHEMA_VERSION + 1}")
    finding = found(storage.url)
    assert (finding.state, "a newer layer-mcp" in finding.fact) == ("failed", True)


def test_finds_a_read_only_database(
    storage: PostgresStorage, postgres_server: PostgresServer
) -> None:
    name = storage.url.rpartition("/")[2]
    postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    finding = found(storage.url)
    assert finding == Finding("failed", "PostgreSQL: the database is read-only", finding.fix)


def test_a_rejected_password_is_not_shown(storage: PostgresStorage) -> None:
    finding = found(storage.url.replace("layer@", f"{GUARDED_USER}:{SECRET}@"))
    assert finding.state == "failed"
    assert "rejects the user or the password" in finding.fact
    assert SECRET not in f"{finding}"


def test_finds_a_clock_that_differs(
    storage: PostgresStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from layer_mcp.doctor import database_health

    now = database_health.time.time
    monkeypatch.setattr(database_health.time, "time", lambda: now() + 90)
    finding = found(storage.url)
    assert finding.state == "warning"
    assert "s ahead of its clock" in finding.fact
