"""Malformed requests for prompts and completions, over stdio and HTTP."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from ..support.raw_hosts import RAW_HOSTS, Message, RawConnection, RawHost, request

pytestmark = pytest.mark.anyio


@pytest.fixture(params=RAW_HOSTS, ids=str)
async def raw(
    request: pytest.FixtureRequest, environment: dict[str, str]
) -> AsyncGenerator[RawConnection]:
    host: RawHost = request.param
    async with host.connect(environment) as connection:
        yield connection


def prompt(number: int, arguments: Any, name: str = "sound_effect") -> Message:
    return request(number, "prompts/get", name=name, arguments=arguments)


def complete(number: int, name: str, value: Any, **more: Any) -> Message:
    reference = {"type": "ref/prompt", "name": "icon_set"}
    argument = {"name": name, "value": value}
    return request(number, "completion/complete", ref=reference, argument=argument, **more)


def text_of(answer: Message) -> str:
    return answer["result"]["messages"][0]["content"]["text"]


@pytest.mark.slow
async def test_converts_prompt_arguments_that_are_not_text(raw: RawConnection) -> None:
    plain = text_of(await raw.ask(prompt(1, {"sound": "a door", "seconds": "5"})))
    for number, arguments in enumerate(
        (
            {"sound": "a door", "seconds": 5},
            {"sound": "a door", "seconds": "5", "model_id": None, "workspace_id": ""},
            '{"sound": "a door", "seconds": 5, "model_id": "null"}',
        ),
        start=2,
    ):
        assert text_of(await raw.ask(prompt(number, arguments))) == plain


@pytest.mark.slow
async def test_rejects_prompt_arguments_that_are_not_an_object(
    raw: RawConnection, subtests: pytest.Subtests
) -> None:
    none: list[Any] = [None, {}, [], 7, "{", "[" * 100_000, {"sound": None}]
    for number, arguments in enumerate(none, start=1):
        with subtests.test(arguments=repr(arguments)[:40]):
            assert (await raw.ask(prompt(number, arguments)))["error"]["code"] == -32602
    assert text_of(await raw.ask(prompt(100, {"sound": "a door"})))


async def test_half_an_emoji_does_not_break_the_connection(raw: RawConnection) -> None:
    odd = "a door \ud83d"
    await raw.ask(prompt(1, {"sound": odd}))
    await raw.ask(prompt(2, {odd: "a door"}))
    await raw.ask(complete(3, "model_id", odd))
    await raw.ask(complete(4, "model_id", "", context={"arguments": {"workspace_id": odd}}))
    await raw.ask(complete(5, odd, ""))
    assert text_of(await raw.ask(prompt(6, {"sound": "a door"})))


@pytest.mark.slow
async def test_completion_never_fails_on_an_odd_value(
    raw: RawConnection, subtests: pytest.Subtests
) -> None:
    known = {"arguments": {"workspace_id": None, "style": 7}}
    odd: list[Any] = [None, 7, True, ["a"], {"a": 1}, "\x00"]
    for number, value in enumerate(odd, start=1):
        with subtests.test(value=value):
            answer = await raw.ask(complete(number, "subjects", value, context=known))
            assert answer["result"]["completion"]["values"] == []
