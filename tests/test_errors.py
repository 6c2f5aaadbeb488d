"""Every error code that the code names has its row, and every row its code and next step."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import layer_mcp
from layer_mcp.api.problems import SENTENCES
from layer_mcp.error_codes import ERROR_CODES, SOURCES
from layer_mcp.errors import CODE_BY_STATUS, NEXT_STEPS

PACKAGE = Path(layer_mcp.__file__).parent
TABLE = PACKAGE / "error_codes.py"
ROWS = {row.code: row for row in ERROR_CODES}
CODE = re.compile(r"[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+")
# Words in capitals that are no codes: variables of the environment, flags of the system, and what
# Layer's published contract has in place of a code.
OTHER_WORDS = re.compile(
    r"(LAYER|SSL_CERT|XDG|OTEL|CODEX|CLAUDE|GEMINI|GOOSE|PYTHON|TERM|O)_\w*|NO_COLOR|ERROR_CODE"
    r"|DEFAULT_API_URL"
)
MAKERS = ("LayerError", "RefusalError", "_error", "refused")
# What the sandbox says of itself when a test wants a fault and names no code.
OF_THE_SANDBOX = {"INTERNAL_ERROR"}


def trees() -> Iterator[ast.Module]:
    for file in PACKAGE.rglob("*.py"):
        if file != TABLE:
            yield ast.parse(file.read_text(encoding="utf-8"))


def words() -> set[str]:
    """Every text of the package that looks like a code, but for the placeholders of usage lines."""
    found: set[str] = set()
    for tree in trees():
        nodes = list(ast.walk(tree))
        metavars = {
            id(node.value)
            for node in nodes
            if isinstance(node, ast.keyword) and node.arg == "metavar"
        }
        found |= {
            node.value
            for node in nodes
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and CODE.fullmatch(node.value)
            and not OTHER_WORDS.fullmatch(node.value)
            and id(node) not in metavars
        }
    return found - OF_THE_SANDBOX


def raised() -> set[str]:
    """Every text that an error is made with, also one without an underscore."""
    return {
        argument.value
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in MAKERS
        for argument in node.args[:2]
        if isinstance(argument, ast.Constant)
        and isinstance(argument.value, str)
        and argument.value.isupper()
    }


def test_every_code_that_the_package_names_has_a_row() -> None:
    assert (words() | raised()) - ROWS.keys() == set()


def test_every_code_that_errors_are_read_as_has_a_row() -> None:
    assert {*NEXT_STEPS, *SENTENCES, *CODE_BY_STATUS.values()} - ROWS.keys() == set()


def test_every_row_is_a_code_that_the_package_names() -> None:
    assert ROWS.keys() - words() - raised() - NEXT_STEPS.keys() == set()


def test_no_code_has_two_rows() -> None:
    assert len(ROWS) == len(ERROR_CODES)


def test_every_row_has_one_sentence_and_a_next_step() -> None:
    for row in ERROR_CODES:
        assert row.meaning.endswith("."), row.code
        assert row.next_step.endswith("."), row.code


def test_every_source_has_codes() -> None:
    assert {row.source for row in ERROR_CODES} == SOURCES.keys()


def test_a_status_in_the_table_is_the_one_that_its_code_is_read_from() -> None:
    for status, code in CODE_BY_STATUS.items():
        assert str(status) in ROWS[code].status
