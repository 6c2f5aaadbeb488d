"""Which bodies need the scope layer:spend, however they are written."""

import json

import pytest

from layer_mcp.server.http.auth.spending import needs_spend

PAID = {"method": "tools/call", "params": {"name": "execute_inference"}}
FREE = {"method": "tools/call", "params": {"name": "get_status"}}
TOOLS = {"execute_inference"}


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(PAID),
        json.dumps([FREE, PAID]),
        json.dumps(PAID).replace("execute", "\\u0065xecute"),
        '{"method": "tools/list", "method": "tools/call", "params": {"name": "execute_inference"}}',
        '{"method": "tools/call", "params": {"name": "execute_inference", "name": "get_status"}}',
        json.dumps(PAID)[:-1] + ', "params": {}}',
    ],
)
def test_a_call_of_a_spending_tool_needs_it(body: str) -> None:
    assert needs_spend(body.encode(), TOOLS)


def test_another_encoding_does_not_hide_a_call() -> None:
    assert needs_spend(json.dumps(PAID).encode("utf-16"), TOOLS)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(FREE),
        json.dumps({"method": "tools/list"}),
        json.dumps({"method": "prompts/get", "params": {"name": "execute_inference"}}),
        json.dumps({"method": "tools/call", "params": {"name": ["execute_inference"]}}),
        json.dumps({"method": "tools/call", "params": []}),
        "",
        "{",
        "[" * 100_000,
        '"text"',
    ],
)
def test_other_requests_do_not(body: str) -> None:
    assert not needs_spend(body.encode(), TOOLS)
