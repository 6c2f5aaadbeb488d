"""The scripted model for testing hosts: what it reads, what it calls, and what it refuses."""

import asyncio
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from interop.hosts import anthropic_messages, gemini_contents, home, openai_responses
from interop.hosts.scripted_model import HostEndedError, Order, ScriptedModel, Wire
from interop.job import JsonObject

SECONDS = 20
ORDER = Order("call_1", "layer", {"prompt": "a potion"})
IMAGE = {"type": "image", "source": {"media_type": "image/jpeg"}}
TEXT = {"type": "text", "text": "Run 1"}
# One tool, and the answer to one call of it, as each service is sent them.
ANTHROPIC: JsonObject = {
    "tools": [{"name": "layer", "input_schema": {}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "call_1",
                    "is_error": True,
                    "content": [TEXT, IMAGE],
                }
            ],
        }
    ],
}
OPENAI: JsonObject = {
    "tools": [
        {
            "type": "namespace",
            "name": "mcp",
            "description": "Layer makes",
            "tools": [{"type": "function", "name": "layer", "parameters": {}}],
        }
    ],
    "input": [
        {"type": "message", "content": "Make it."},
        {
            "type": "function_call_output",
            "call_id": "call_1",
            "output": [
                {"type": "input_text", "text": 'Run 1 {"error":{}}'},
                {"type": "input_image", "image_url": "data:image/jpeg;base64,AAAA"},
            ],
        },
    ],
}
GEMINI: JsonObject = {
    "tools": [{"functionDeclarations": [{"name": "layer", "parametersJsonSchema": {}}]}],
    "contents": [
        {
            "parts": [
                {"functionResponse": {"id": "call_1", "response": {"error": "Run 1"}}},
                {"inlineData": {"mimeType": "image/jpeg"}},
            ]
        }
    ],
}
WIRES: list[Any] = [
    pytest.param(anthropic_messages, "/v1/messages", ANTHROPIC, "layer", id="anthropic"),
    pytest.param(openai_responses, "/v1/responses", OPENAI, "mcp/layer", id="openai"),
    pytest.param(gemini_contents, "/m:streamGenerateContent", GEMINI, "layer", id="gemini"),
]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, SECONDS))


@pytest.mark.parametrize(("wire", "path", "body", "tool"), WIRES)
def test_a_turn_has_the_tools_and_the_models_input(
    wire: Wire, path: str, body: JsonObject, tool: str
) -> None:
    turn = wire.turn_of(path, body)
    assert turn is not None
    assert turn.tools == {tool: {}}
    heard = turn.heard["call_1"]
    assert heard.said.text.startswith("Run 1")
    assert heard.said.is_error
    assert heard.pictures == ("image/jpeg",)


@pytest.mark.parametrize(("wire", "path", "body", "tool"), WIRES)
def test_a_request_that_is_not_for_the_model_is_not_a_turn(
    wire: Wire, path: str, body: JsonObject, tool: str
) -> None:
    assert wire.turn_of("/v1/models", body) is None


@pytest.mark.parametrize("wire", [anthropic_messages, openai_responses, gemini_contents])
def test_the_model_asks_with_the_name_and_the_arguments(wire: Wire) -> None:
    stream = wire.asking(ORDER).decode()
    assert '"layer"' in stream
    assert "a potion" in stream


def test_a_call_is_answered_by_the_request_that_brings_its_result() -> None:
    async def work() -> tuple[str, str]:
        async with ScriptedModel(anthropic_messages) as model, httpx.AsyncClient() as host:
            asked = asyncio.create_task(model.ask("layer", {}))
            without_result = ANTHROPIC | {"messages": [{"role": "user", "content": "Make it."}]}
            stream = await host.post(f"{model.url}/v1/messages", json=without_result)
            second = asyncio.create_task(host.post(f"{model.url}/v1/messages", json=ANTHROPIC))
            heard = await asked
            model.say("Done.")
            await second
            return stream.text, heard.said.text

    stream, heard = run(work())
    assert '"tool_use"' in stream
    assert heard == "Run 1"


@pytest.mark.parametrize("asked_before", [True, False])
def test_a_call_fails_when_the_host_has_ended(asked_before: bool) -> None:
    async def work() -> None:
        async with ScriptedModel(anthropic_messages) as model:
            asked = asyncio.create_task(model.ask("layer", {}))
            if asked_before:
                await asyncio.sleep(0)
            model.host_ended("killed")
            await asked

    with pytest.raises(HostEndedError, match="killed"):
        run(work())


def test_refuses_and_records_a_hosts_requests_to_other_machines() -> None:
    async def work() -> tuple[int, set[str]]:
        async with ScriptedModel(anthropic_messages) as model:
            async with httpx.AsyncClient(proxy=model.url) as host:
                answer = await host.get("http://layer.invalid/telemetry")
                with pytest.raises(httpx.ProxyError):
                    await host.get("https://secure.invalid/telemetry")
            return answer.status_code, model.strangers

    assert run(work()) == (502, {"layer.invalid", "secure.invalid:443"})


@pytest.mark.process
@pytest.mark.parametrize(
    "said",
    [
        '{"result": {"protocolVersion": "2025-06-18"}}',
        '{"params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2025-06-18"}}}',
    ],
)
def test_records_the_protocol_version(said: str, tmp_path: Path) -> None:
    note = tmp_path / "spoken"
    command = [sys.executable, str(home.OVERHEARD), str(note), "cat"]
    done = subprocess.run(
        command, input=f"{said}\n", capture_output=True, text=True, timeout=SECONDS, check=True
    )
    assert done.stdout == f"{said}\n"
    assert note.read_text() == "2025-06-18"
