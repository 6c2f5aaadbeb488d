"""What a host answered is cleaned as a whole, before anything is read from it."""

import json
from typing import Any

import pytest

from layer_mcp.text.foreign_json import clean_body
from layer_mcp.text.redact import Redactor

from ..support.secret_forms import FORMS, traces

TOKEN = "pat_Zq7/hK+2mXw9=vB4_nT-8rLc6yEd1"
REDACTOR = Redactor(TOKEN)


def cleaned(content: Any) -> Any:
    return json.loads(clean_body(json.dumps(content).encode(), REDACTOR))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_token_is_removed_from_values_keys_and_nested_lists(
    form: str, ascii_only: bool
) -> None:
    planted = FORMS[form](TOKEN)
    content = {"a": planted, planted: 1, "list": [{"deep": [f"x {planted} y"]}]}
    body = json.dumps(content, ensure_ascii=ascii_only).encode()
    shown = clean_body(body, REDACTOR).decode().lower()
    assert [trace for trace in traces(TOKEN) if trace in shown] == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("frame", ["<p>{}</p>", '{{"run_id": "1", "echo": "{}', "{}"])
def test_the_token_is_removed_from_what_is_not_json(form: str, frame: str) -> None:
    body = frame.format(FORMS[form](TOKEN)).encode()
    shown = clean_body(body, REDACTOR).decode().lower()
    assert [trace for trace in traces(TOKEN) if trace in shown] == []


def test_a_clean_answer_is_returned_unchanged() -> None:
    body = b'{"status":  "complete", "outputs": [{"width": 512}]}'
    assert clean_body(body, REDACTOR) is body


def test_unsafe_characters_are_removed_from_values_and_keys() -> None:
    assert cleaned({"na\u202eme": "210\x1b[2J CU\u2028next"}) == {"name": "210[2J CU\nnext"}


def test_preserves_writing_exactly() -> None:
    content = {
        "prompt": "line 1\n\tline 2 - 👩\u200d🎨 שלום \\ % & 100%41",
        "n": [1, 2.5, None, True],
    }
    assert cleaned(content) == content


@pytest.mark.parametrize(
    "number", ["1e308", "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "9" * 30, "9" * 4000]
)
def test_an_unusable_number_is_null(number: str) -> None:
    body = f'{{"price": {number}, "prices": [{number}]}}'.encode()
    assert json.loads(clean_body(body, REDACTOR)) == {"price": None, "prices": [None]}


def test_other_numbers_are_kept() -> None:
    content = {"seed": 2**63 - 1, "price": 0.4, "small": 1e-7, "big": 123456789012.5}
    assert cleaned(content) == content
