"""How Layer's error responses become a code, a sentence, and a next step."""

import json

import pytest

from layer_mcp.api.problems import SENTENCES, error_from_response
from layer_mcp.errors import CODE_BY_STATUS, ERROR_CODES

JSON = "application/problem+json"


def problem(code: str, detail: str = "It is so.") -> bytes:
    return json.dumps(
        {"type": f"https://api.layer.ai/errors/{code}", "title": "T", "status": 1, "detail": detail}
    ).encode()


def test_the_code_is_the_last_segment_of_the_type() -> None:
    error = error_from_response(404, JSON, problem("MODEL_NOT_FOUND", "No such model"))
    assert (error.code, error.message) == ("MODEL_NOT_FOUND", "No such model.")
    assert "model" in error.next_step


def test_passes_on_an_unknown_code_with_a_next_step() -> None:
    error = error_from_response(403, JSON, problem("SUBSCRIPTION_PAUSED"))
    assert error.code == "SUBSCRIPTION_PAUSED"
    assert error.next_step


@pytest.mark.parametrize(
    ("status", "code", "step"),
    [(504, "GATEWAY_TIMEOUT", "Wait a minute"), (409, "CONFLICT", "rejected again")],
)
def test_a_new_code_gets_the_next_step_of_its_family(status: int, code: str, step: str) -> None:
    assert step in error_from_response(status, JSON, problem(code)).next_step


@pytest.mark.parametrize("status", [401, 402, 403, 429, 503])
def test_a_new_code_gets_the_next_step_of_its_status(status: int) -> None:
    error = error_from_response(status, JSON, problem("SOMETHING_NEW"))
    assert error.code == "SOMETHING_NEW"
    assert error.next_step == ERROR_CODES[CODE_BY_STATUS[status]].next_step


def test_waits_only_for_a_busy_layer() -> None:
    assert "7 s" in error_from_response(429, JSON, b"", 7).next_step
    assert "7 s" not in error_from_response(402, JSON, b"", 7).next_step


def test_a_422_may_be_a_list_of_fields() -> None:
    body = {"detail": [{"loc": ["body", "width"], "msg": "must be positive", "type": "x"}]}
    error = error_from_response(422, "application/json", json.dumps(body).encode())
    assert (error.code, error.message) == ("INVALID_INPUTS", "width: must be positive.")


def test_odd_items_in_a_list_of_fields_do_not_hide_the_others() -> None:
    good = {"loc": ["body", "width"], "msg": "must be positive"}
    body = {"detail": ["odd", {"loc": [1.5], "msg": None}, {"loc": "x"}, good]}
    error = error_from_response(422, "application/json", json.dumps(body).encode())
    assert "width: must be positive" in error.message


def test_a_422_may_be_a_plain_sentence() -> None:
    error = error_from_response(422, JSON, problem("INVALID_INPUTS", "Bad width."))
    assert (error.code, error.message) == ("INVALID_INPUTS", "Bad width.")


def test_the_fields_that_a_422_names_are_marked() -> None:
    fields = [
        {"loc": ["body", "batch_size"], "msg": "too many"},
        {"loc": ["body", "guidance_files", 0, "type"], "msg": "unknown"},
        {"loc": ["body", "novelty"], "msg": "unknown"},
    ]
    error = error_from_response(422, "application/json", json.dumps({"detail": fields}).encode())
    assert error.describe(str.upper) == (
        "BATCH_SIZE: too many; GUIDANCE_FILES.0.TYPE: unknown; novelty: unknown."
    )


@pytest.mark.parametrize("status", [400, 404, 500, 502])
def test_reports_a_web_page_without_quoting_it(status: int) -> None:
    error = error_from_response(status, "text/html; charset=utf-8", b"<h1>secret</h1>")
    assert error.code == "UNEXPECTED_RESPONSE"
    assert "secret" not in str(error)


def test_a_web_page_with_503_still_means_not_available() -> None:
    assert error_from_response(503, "text/html", b"<h1>").code == "SERVICE_UNAVAILABLE"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_error_that_names_the_setting(status: int) -> None:
    error = error_from_response(status, "", b"")
    assert error.code == "UNEXPECTED_REDIRECT"
    assert "LAYER_API_URL" in error.next_step


@pytest.mark.parametrize(("status", "code"), sorted(CODE_BY_STATUS.items()))
def test_each_status_has_a_code_and_a_sentence_without_a_body(status: int, code: str) -> None:
    error = error_from_response(status, "", b"")
    assert (error.code, error.message) == (code, SENTENCES[code])


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff", b"[" * 5000, b'{"detail": 3}'])
def test_any_body_becomes_an_error(body: bytes) -> None:
    assert error_from_response(500, "application/json", body).code == "SERVER_ERROR"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_only_passing_faults_are_transient(status: int) -> None:
    assert error_from_response(status, "", b"").transient


@pytest.mark.parametrize("status", [302, 400, 401, 402, 403, 404, 422])
def test_a_refusal_is_not_transient(status: int) -> None:
    assert not error_from_response(status, "", b"").transient
