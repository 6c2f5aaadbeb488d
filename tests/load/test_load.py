"""The load proof with few agents. `make load` runs it with 200."""

import json
from pathlib import Path

import pytest

from ..support.postgres_server import PostgresServer
from .__main__ import report
from .deployment import running_deployment
from .proof import FAILURES, prove

pytestmark = [pytest.mark.anyio, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]

AGENTS = 6


async def test_no_run_is_lost_or_paid_twice_while_replicas_and_the_database_fail(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    names = [f"agent-{number}" for number in range(AGENTS)]
    with running_deployment(postgres_server, names, tmp_path) as deployment:
        proof = await prove(deployment, rounds=1)
    assert proof.violations() == []
    assert [event.name for event in proof.events] == [name for name, _ in FAILURES]
    # The replica that was killed can have had each agent's request.
    assert len(proof.notes.unknown) <= AGENTS
    assert report(proof, tmp_path / "load.json", tmp_path / "load.png") == 0
    assert json.loads((tmp_path / "load.json").read_text())["violations"] == []
