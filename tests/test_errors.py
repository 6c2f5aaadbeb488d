"""Every error code that the package names has a row, and every row is complete."""

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import layer_mcp
from layer_mcp import (
    AuthenticationError,
    InvalidRequestError,
    LayerError,
    NotFoundError,
    OutcomeUnknownError,
    PriceError,
    RateLimitError,
    ServiceError,
    SubmissionError,
)
from layer_mcp.api.problems import SENTENCES
from layer_mcp.errors import (
    CLASS_OF_CODE,
    CLASS_OF_SOURCE,
    CODE_BY_STATUS,
    ERROR_CODES,
    OTHER_RUN_NEXT_STEP,
    SOURCES,
    Argument,
    class_of,
    next_step_for,
    next_step_for_person,
    next_step_for_run,
    one_sentence,
)

PACKAGE = Path(layer_mcp.__file__).parent
TABLE = PACKAGE / "errors.py"
CODE = re.compile(r"[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+")
# Words in capitals that are no codes: variables of the environment, flags of the system, and what
# Layer's published contract has in place of a code.
OTHER_WORDS = re.compile(
    r"(LAYER|SSL_CERT|XDG|OTEL|CODEX|CLAUDE|GEMINI|GOOSE|PYTHON|TERM|O)_\w*|NO_COLOR|ERROR_CODE"
    r"|DEFAULT_API_URL"
)
MAKERS = ("LayerError", "RefusalError", "_error", "refused")
# The sandbox answers with it when a test asks for a fault and names no code.
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
    assert (words() | raised()) - ERROR_CODES.keys() == set()


def test_every_code_that_layers_answers_are_read_as_has_a_row() -> None:
    assert {*SENTENCES, *CODE_BY_STATUS.values()} - ERROR_CODES.keys() == set()


def test_every_code_is_named_by_the_package_or_sent_by_layer() -> None:
    unnamed = ERROR_CODES.keys() - words() - raised() - set(CODE_BY_STATUS.values())
    assert [code for code in unnamed if ERROR_CODES[code].source not in ("layer", "run")] == []


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_every_row_has_a_sentence_and_a_short_next_step(code: str) -> None:
    row = ERROR_CODES[code]
    assert row.meaning.endswith(".")
    assert row.next_step.endswith(".")
    assert len(row.next_step) < 200
    assert "!" not in row.next_step


def test_every_source_has_codes() -> None:
    assert {row.source for row in ERROR_CODES.values()} == SOURCES.keys()


def test_a_status_in_the_table_is_the_one_that_its_code_is_read_from() -> None:
    for status, code in CODE_BY_STATUS.items():
        assert str(status) in ERROR_CODES[code].status


def test_an_error_takes_its_next_step_from_the_table() -> None:
    error = LayerError("FILE_EMPTY", "a.png is empty.")
    assert error.next_step == ERROR_CODES["FILE_EMPTY"].next_step
    assert str(error) == f"FILE_EMPTY: a.png is empty. {error.next_step}"


@pytest.mark.parametrize(
    ("code", "status", "family"),
    [
        ("STYLE_NOT_FOUND", 404, "NOT_FOUND"),
        ("SUBSCRIPTION_PAUSED", 403, "FORBIDDEN"),
        ("GATEWAY_TIMEOUT", 504, "SERVER_ERROR"),
        ("CONFLICT", 409, "REQUEST_REFUSED"),
        ("SOMETHING_NEW", None, "REQUEST_REFUSED"),
    ],
)
def test_a_code_without_a_row_gets_the_next_step_of_its_family(
    code: str, status: int | None, family: str
) -> None:
    assert next_step_for(code, status) == ERROR_CODES[family].next_step


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("MODEL_NOT_FOUND", "Run layer-mcp models to see which models are available."),
        ("DECLINED", ""),
        ("FILE_EMPTY", None),
        ("SOMETHING_NEW", None),
    ],
)
def test_a_person_gets_another_next_step_only_where_the_table_has_one(
    code: str, step: str | None
) -> None:
    assert next_step_for_person(code) == step


def test_every_source_and_every_exception_to_it_has_a_class() -> None:
    assert CLASS_OF_SOURCE.keys() == SOURCES.keys()
    assert CLASS_OF_CODE.keys() <= ERROR_CODES.keys()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INVALID_ARGUMENTS", InvalidRequestError),
        ("MODEL_NOT_FOUND", NotFoundError),
        ("UNAUTHENTICATED", AuthenticationError),
        ("CONFIRMATION_REQUIRED", PriceError),
        ("RUNS_AT_LIMIT", RateLimitError),
        ("JOURNAL_UNAVAILABLE", SubmissionError),
        ("OUTCOME_UNKNOWN", OutcomeUnknownError),
        ("CONNECTION_LOST", ServiceError),
        ("SOMETHING_NEW", InvalidRequestError),
    ],
)
def test_an_error_is_of_the_class_of_its_code(code: str, kind: type[LayerError]) -> None:
    assert type(LayerError(code, "It failed.")) is kind


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("STYLE_NOT_FOUND", 404, NotFoundError),
        ("TOO_MANY_REQUESTS", 429, RateLimitError),
        ("GATEWAY_TIMEOUT", 504, ServiceError),
    ],
)
def test_a_code_without_a_row_gets_the_class_of_its_family(
    code: str, status: int, kind: type[LayerError]
) -> None:
    assert class_of(code, status) is kind
    assert type(kind(code, "It failed.")) is kind


def test_an_error_can_be_sent_to_another_process() -> None:
    error = LayerError("RATE_LIMITED", ["Wait for ", Argument("width"), "."], facts={"a": 1})
    error.inference_id = "run"
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied)) == (RateLimitError, str(error))
    assert (copied.facts, copied.inference_id) == ({"a": 1}, "run")


def test_a_step_for_a_person_has_the_facts_of_the_error() -> None:
    step = next_step_for_person("CONFIRMATION_REQUIRED", {"estimated_price_creative_units": 22.0})
    assert step == "To approve it, add --max-price 22."


def test_a_message_names_arguments_as_its_reader_does() -> None:
    parts = [Argument("batch_size"), " must be at most 16; see batch_size."]
    error = LayerError("INVALID_ARGUMENTS", parts)
    assert error.message == "batch_size must be at most 16; see batch_size."
    assert error.describe(str.upper) == "BATCH_SIZE must be at most 16; see batch_size."


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("INSUFFICIENT_BALANCE", ERROR_CODES["INSUFFICIENT_BALANCE"].next_step),
        ("NO_MEDIA_GENERATED", ERROR_CODES["NO_MEDIA_GENERATED"].next_step),
        ("TIMEOUT", OTHER_RUN_NEXT_STEP),
        ("SOMETHING_NEW", OTHER_RUN_NEXT_STEP),
    ],
)
def test_a_failed_run_gets_the_next_step_of_runs(code: str, step: str) -> None:
    assert next_step_for_run(code) == step


def test_foreign_text_becomes_one_line_of_limited_length() -> None:
    assert one_sentence("a\n  b\tc") == "a b c."
    assert len(one_sentence("word " * 500)) <= 301
