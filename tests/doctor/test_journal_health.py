"""The state of a journal, looked at without changing it."""

from contextlib import closing
from pathlib import Path

from layer_mcp.doctor.journal_health import journal_health

from ..support.doctor_journal import add_run, create_journal


def test_another_spelling_of_the_address_finds_the_same_unknown_outcomes(tmp_path: Path) -> None:
    with closing(create_journal(tmp_path)) as database:
        add_run(database, "http://127.0.0.1:8123/api", "unknown")
    health = journal_health(tmp_path, "http://localhost:8123//api")
    assert health is not None
    assert health.unknown == 1
