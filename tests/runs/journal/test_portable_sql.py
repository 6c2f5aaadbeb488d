"""The journal's SQL keeps to what SQLite and PostgreSQL share."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from layer_mcp.runs.journal import journal, outcome, rows, schema

FILES = {
    "journal": Path(journal.__file__),
    "outcome": Path(outcome.__file__),
    "rows": Path(rows.__file__),
    "schema": Path(schema.__file__),
}
# Old tables exist in SQLite only.
OLD_TABLES = {"create_or_carry_over", "_carry_over", "_drop_indexes", "_rename_addresses"}
ONLY_IN_SQLITE = {
    "iif": r"\biif\s*\(",
    "total": r"\btotal\s*\(",
    "max of several values": r"\bmax\s*\([^()]*,",
    "min of several values": r"\bmin\s*\([^()]*,",
    "rowid": r"\browid\b",
    "INSERT OR": r"\bINSERT\s+OR\b",
    "REPLACE INTO": r"\bREPLACE\s+INTO\b",
    "JSON": r"\bjson_\w+\s*\(",
    "times": r"\b(strftime|julianday|unixepoch)\s*\(",
    "PRAGMA": r"\bPRAGMA\b",
    "AUTOINCREMENT": r"\bAUTOINCREMENT\b",
    "GLOB": r"\bGLOB\b",
    # A REAL has four bytes in PostgreSQL, too few for a time.
    "REAL": r"\bREAL\b",
    "INTEGER": r"\bINTEGER\b",
}


def sql_of(path: Path) -> list[str]:
    """The texts of a module, with a mark where a value is put in."""
    return list(_texts(ast.parse(path.read_text(encoding="utf-8"))))


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef) and node.name in OLD_TABLES:
        return
    if isinstance(node, ast.JoinedStr):
        yield "".join(_text(part) for part in node.values)
    elif isinstance(node, ast.Constant):
        yield _text(node)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "{}"


@pytest.mark.parametrize("path", [FILES["journal"], FILES["schema"]], ids=["journal", "schema"])
def test_the_statements_are_found(path: Path) -> None:
    found = " ".join(sql_of(path))
    assert "CREATE TABLE runs" in found or "UPDATE runs SET state" in found
    assert "old_runs" not in found


@pytest.mark.parametrize("name", ONLY_IN_SQLITE)
@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_no_statement_needs_sqlite(path: Path, name: str) -> None:
    pattern = re.compile(ONLY_IN_SQLITE[name], re.IGNORECASE)
    found = [sql for sql in sql_of(path) if pattern.search(sql)]
    assert found == []


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("SELECT iif(a, 1, 2)", "iif"),
        ("SELECT TOTAL (price)", "total"),
        ("SELECT max(a, b)", "max of several values"),
        ("ORDER BY rowid DESC", "rowid"),
        ("INSERT OR REPLACE INTO runs", "INSERT OR"),
        ("SELECT json_extract(a, '$.b')", "JSON"),
        ("price REAL", "REAL"),
    ],
)
def test_what_only_sqlite_has_is_recognized(sql: str, name: str) -> None:
    assert re.search(ONLY_IN_SQLITE[name], sql, re.IGNORECASE)


@pytest.mark.parametrize("name", ONLY_IN_SQLITE)
def test_what_both_have_is_not_refused(name: str) -> None:
    shared = "SELECT MAX(sequence), SUM(price), COALESCE(a, b) FROM runs WHERE x DOUBLE PRECISION"
    assert not re.search(ONLY_IN_SQLITE[name], shared, re.IGNORECASE)
