"""Lines on stdin that are not a protocol message get an error and do not stop the server."""

from typing import Any

import pytest
from mcp.types import jsonrpc_message_adapter
from pydantic import ValidationError

from layer_mcp.sandbox import RunningSandbox
from layer_mcp.server.transport_stdio import parse_error_responses

from ..support.hosts import IMAGE_MODEL
from ..support.stdio_child import child

pytestmark = pytest.mark.process

PARSE_ERROR, INVALID_REQUEST = -32700, -32600
PING: dict[str, Any] = {"jsonrpc": "2.0", "id": 9, "method": "ping"}
HALF_AN_EMOJI = (
    '{"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "execute_inference", '
    f'"arguments": {{"model_id": "{IMAGE_MODEL}", "prompt": "a potion \\ud83d"}}}}}}'
)


def error_responses(line: str) -> list[tuple[Any, int]]:
    """Return the ID and code of each error response to a line."""
    with pytest.raises(ValidationError) as caught:
        jsonrpc_message_adapter.validate_json(line)
    return [(answer.id, answer.error.code) for answer in parse_error_responses(caught.value)]


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("this is not json", [(None, PARSE_ERROR)]),
        ("", [(None, PARSE_ERROR)]),
        ('{"a":' * 50_000, [(None, PARSE_ERROR)]),
        (HALF_AN_EMOJI, [(3, PARSE_ERROR)]),
        ('{"jsonrpc":"2.0","id":"\\ud83d","method":"ping"}', [(None, PARSE_ERROR)]),
        ("null", [(None, INVALID_REQUEST)]),
        ('"ping"', [(None, INVALID_REQUEST)]),
        ("{}", [(None, INVALID_REQUEST)]),
        ('{"jsonrpc":"2.0","id":3}', [(3, INVALID_REQUEST)]),
        ('{"jsonrpc":"1.0","id":"a","method":"ping"}', [("a", INVALID_REQUEST)]),
        ('{"jsonrpc":"2.0","id":true,"method":5}', [(None, INVALID_REQUEST)]),
        ('{"jsonrpc":"2.0","id":3,"method":"ping","params":[1]}', [(3, INVALID_REQUEST)]),
        ("[]", [(None, INVALID_REQUEST)]),
        (
            '[{"jsonrpc":"2.0","id":3,"method":"ping"},{"jsonrpc":"2.0","id":4,"method":"ping"}]',
            [(3, INVALID_REQUEST), (4, INVALID_REQUEST)],
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_rejects_an_unreadable_line_with_the_ids_of_its_requests(
    line: str, answers: list[tuple[Any, int]]
) -> None:
    assert error_responses(line) == answers


@pytest.mark.parametrize(
    "line", ['{"jsonrpc":"2.0","id":3,"result":5}', '[{"jsonrpc":"2.0","id":3,"error":{}}]']
)
def test_does_not_reply_to_an_unreadable_response(line: str) -> None:
    assert error_responses(line) == []


@pytest.mark.slow
def test_rejects_half_an_emoji_in_a_prompt_without_sending_a_request(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with child(environment) as server:
        server.initialize()
        server.send_line(HALF_AN_EMOJI.encode())
        answer = server.receive()
    assert answer["id"] == 3
    assert "half a character" in answer["error"]["message"]
    assert not sandbox.state.arrived


@pytest.mark.slow
@pytest.mark.parametrize("line", [b"this is not json", b"\xff\xfe", b"[]", b"{" * 5_000_000])
def test_answers_the_line_after_an_unreadable_one(line: bytes, environment: dict[str, str]) -> None:
    with child(environment) as server:
        server.initialize()
        server.send_line(line)
        server.send(PING)
        answers = [server.receive(), server.receive()]
    assert [answer["id"] for answer in answers] == [None, 9]
    assert answers[1]["result"] == {}


@pytest.mark.slow
def test_an_unreadable_line_before_the_handshake_does_not_break_it(
    environment: dict[str, str],
) -> None:
    with child(environment) as server:
        server.send_line(b"hello")
        assert server.receive()["error"]["code"] == PARSE_ERROR
        assert server.initialize()["serverInfo"]["name"] == "layer-mcp"
