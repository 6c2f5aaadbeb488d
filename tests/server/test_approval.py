"""A person's approval of a price, over every transport and both protocol eras."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp.client import ClientRequestContext
from mcp.client.session import ElicitationFnT
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, ElicitRequestParams, ElicitResult, ErrorData

from layer_mcp.api.models import InferenceRequest
from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import price_creative_units, sandbox_models

from ..support.hosts import (
    EACH_WAY_ONCE,
    MEMORY,
    MEMORY_LEGACY,
    SMALL_IMAGE,
    Host,
    content_of,
    error_code,
    text_of,
)
from ..support.stub_layer import RUN_ID, WORKSPACE, Reply, StubLayer, stub_layer

pytestmark = [pytest.mark.anyio, pytest.mark.every_host]

IMAGES: dict[str, Any] = SMALL_IMAGE | {"width": 1000, "height": 1000, "batch_size": 3}
PRICE = price_creative_units(sandbox_models()[0], InferenceRequest(**IMAGES))
ICON_SET = "00000000-0000-4000-8000-0000000000c1"
ICONS: dict[str, Any] = {"workflow_id": ICON_SET, "inputs": {"prompt": "potions", "count": 2}}
# Over HTTP the server keeps no session of an older client, so it cannot ask it anything.
SILENT = Host("http", "legacy")
ASKING = [*EACH_WAY_ONCE, MEMORY_LEGACY]
ROUNDS = [host for host in ASKING if host.era == "2026-07-28"]
LIVE = [host for host in ASKING if host.era == "legacy"]
YES = ElicitResult(action="accept", content={"approve": True})


@dataclass
class Person:
    """Answers every question alike; remembers them."""

    answer: ElicitResult | ErrorData
    questions: list[str] = field(default_factory=list[str])
    forms: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def __call__(
        self, context: ClientRequestContext, params: ElicitRequestParams
    ) -> ElicitResult | ErrorData:
        self.questions.append(params.message)
        self.forms.append(params.model_dump()["requested_schema"])
        return self.answer


BROKEN = Person(ErrorData(code=INTERNAL_ERROR, message="The form is broken."))


@pytest.fixture
def strict(environment: dict[str, str]) -> dict[str, str]:
    """Settings with which every price needs approval."""
    return environment | {"LAYER_CONFIRM_ABOVE": "0", "LAYER_TOOLSETS": "all"}


@pytest.fixture
def stub() -> Iterator[StubLayer]:
    with stub_layer() as server:
        yield server


async def test_does_not_ask_about_a_price_up_to_the_threshold(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(YES)
    settings = environment | {"LAYER_CONFIRM_ABOVE": str(PRICE)}
    async with host.connect(settings, elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES)
    assert not result.is_error
    assert person.questions == []
    assert sandbox.state.arrived == {"estimate_price": 1, "execute_inference": 1}


@pytest.mark.parametrize("host", ASKING, ids=str)
async def test_the_form_uses_only_what_the_protocol_defines(
    host: Host, strict: dict[str, str]
) -> None:
    person = Person(YES)
    async with host.connect(strict, elicitation_callback=person) as client:
        await client.call_tool("execute_inference", IMAGES)
    assert [form.keys() for form in person.forms] == [{"type", "properties", "required"}]


@pytest.mark.smoke
@pytest.mark.parametrize("host", ASKING, ids=str)
async def test_submits_an_approved_run_once(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(YES)
    async with host.connect(strict, elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES)
    assert content_of(result)["inference_id"] in sandbox.state.runs
    assert len(person.questions) == 1
    assert sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.parametrize("host", ASKING, ids=str)
async def test_the_question_names_the_model_the_outputs_the_price_and_the_balance(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(YES)
    async with host.connect(strict, elicitation_callback=person) as client:
        await client.call_tool("execute_inference", IMAGES)
    assert person.questions == [
        f'Start 3 outputs for {PRICE:g} CU? The balance is 1000 CU. It uses "Sandbox Image".'
    ]


@pytest.mark.parametrize("host", ASKING, ids=str)
async def test_the_question_and_the_answer_name_arguments_that_the_model_ignores(
    host: Host, strict: dict[str, str]
) -> None:
    person = Person(YES)
    async with host.connect(strict, elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES | {"fps": 24})
    [question] = person.questions
    assert "Ignored by the model: fps." in question
    assert text_of(result).count("fps") == 1


@pytest.mark.parametrize("host", ASKING, ids=str)
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ElicitResult(action="accept", content={"approve": False}), "DECLINED"),
        (ElicitResult(action="decline"), "DECLINED"),
        (ElicitResult(action="cancel"), "NOT_ANSWERED"),
    ],
    ids=["a form with no", "decline", "cancel"],
)
async def test_nothing_is_sent_without_approval(
    answer: ElicitResult, code: str, host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(answer)
    async with host.connect(strict, elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES)
    assert error_code(result) == code
    assert len(person.questions) == 1
    assert sandbox.state.arrived["execute_inference"] == 0


@pytest.mark.parametrize("host", ASKING, ids=str)
async def test_asks_again_about_a_declined_call(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(ElicitResult(action="decline"))
    async with host.connect(strict, elicitation_callback=person) as client:
        await client.call_tool("execute_inference", IMAGES)
        person.answer = YES
        result = await client.call_tool("execute_inference", IMAGES)
    assert not result.is_error
    assert len(person.questions) == 2
    assert sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.parametrize("host", ASKING, ids=str)
async def test_a_repeated_call_needs_no_approval(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(YES)
    async with host.connect(strict, elicitation_callback=person) as client:
        first = content_of(await client.call_tool("execute_inference", IMAGES))
        again = content_of(await client.call_tool("execute_inference", IMAGES))
    assert (again["inference_id"], again["duplicate"]) == (first["inference_id"], True)
    assert len(person.questions) == 1
    assert sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.parametrize("host", ASKING, ids=str)
async def test_a_repeat_is_asked_about_and_paid_again(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(YES)
    async with host.connect(strict, elicitation_callback=person) as client:
        await client.call_tool("execute_inference", IMAGES)
        result = await client.call_tool("execute_inference", IMAGES | {"repeat": True})
    assert "duplicate" not in content_of(result)
    assert len(person.questions) == 2
    assert sandbox.state.arrived["execute_inference"] == 2


@pytest.mark.smoke
async def test_if_the_client_cannot_ask_the_agent_asks_and_passes_the_price(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(strict) as client:
        refused = await client.call_tool("execute_inference", IMAGES)
        sent_before = sandbox.state.arrived["execute_inference"]
        allowed = IMAGES | {"max_price_creative_units": PRICE}
        result = await client.call_tool("execute_inference", allowed)
    assert error_code(refused) == "CONFIRMATION_REQUIRED"
    assert f"max_price_creative_units {PRICE:g}" in content_of(refused)["next_step"]
    assert f"{PRICE:g} CU" in text_of(refused)
    assert not result.is_error
    assert (sent_before, sandbox.state.arrived["execute_inference"]) == (0, 1)


@pytest.mark.slow
@pytest.mark.process
async def test_a_client_on_a_connection_without_elicitation_counts_as_one_that_cannot_ask(
    strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(YES)
    async with SILENT.connect(strict, elicitation_callback=person) as client:
        refused = await client.call_tool("execute_inference", IMAGES)
        allowed = IMAGES | {"max_price_creative_units": PRICE}
        result = await client.call_tool("execute_inference", allowed)
    assert error_code(refused) == "CONFIRMATION_REQUIRED"
    assert not result.is_error
    assert person.questions == []
    assert sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.parametrize("host", ASKING, ids=str)
async def test_asks_a_person_even_if_the_call_allows_the_price(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(ElicitResult(action="decline"))
    async with host.connect(strict, elicitation_callback=person) as client:
        allowed = IMAGES | {"max_price_creative_units": 1000}
        result = await client.call_tool("execute_inference", allowed)
    assert error_code(result) == "DECLINED"
    assert len(person.questions) == 1
    assert sandbox.state.arrived["execute_inference"] == 0


@pytest.mark.parametrize(
    ("setting", "argument", "code"),
    [
        ({}, {"max_price_creative_units": PRICE - 0.1}, "PRICE_ABOVE_MAX"),
        ({"LAYER_MAX_PRICE": str(PRICE - 0.1)}, {}, "PRICE_ABOVE_LIMIT"),
        ({"LAYER_MAX_PRICE": "0"}, {"max_price_creative_units": 1000}, "PRICE_ABOVE_LIMIT"),
    ],
    ids=["by the call", "by the settings", "whatever the call says"],
)
async def test_rejects_a_price_above_a_limit_without_asking(
    setting: dict[str, str],
    argument: dict[str, Any],
    code: str,
    host: Host,
    strict: dict[str, str],
    sandbox: RunningSandbox,
) -> None:
    person = Person(YES)
    async with host.connect(strict | setting, elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES | argument)
    assert error_code(result) == code
    assert person.questions == []
    assert sandbox.state.arrived == {"estimate_price": 1}


@pytest.mark.parametrize(
    ("call", "submitted"), [(SMALL_IMAGE, 1), (IMAGES, 0)], ids=["free", "not"]
)
async def test_a_call_with_max_price_0_is_sent_if_it_is_free(
    call: dict[str, Any], submitted: int, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(environment) as client:
        await client.call_tool("execute_inference", call | {"max_price_creative_units": 0})
    assert sandbox.state.arrived["execute_inference"] == submitted


async def test_rejects_a_price_above_the_daily_limit_without_asking(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(YES)
    settings = strict | {"LAYER_MAX_SPEND_PER_DAY": str(PRICE - 0.1)}
    async with host.connect(settings, elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES)
    assert error_code(result) == "SPENDING_LIMIT_REACHED"
    assert person.questions == []
    assert sandbox.state.arrived["execute_inference"] == 0


async def test_rejects_a_price_above_the_days_remaining_limit_without_asking(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(YES)
    settings = strict | {"LAYER_MAX_SPEND_PER_DAY": str(1.5 * PRICE)}
    async with host.connect(settings | {"LAYER_CONFIRM_ABOVE": "1000"}) as client:
        await client.call_tool("execute_inference", IMAGES)
    async with host.connect(settings, elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES | {"prompt": "another"})
    assert error_code(result) == "SPENDING_LIMIT_REACHED"
    assert person.questions == []
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_a_days_runs_add_up_toward_its_limit(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    settings = environment | {"LAYER_MAX_SPEND_PER_DAY": str(1.5 * PRICE)}
    async with host.connect(settings) as client:
        first = await client.call_tool("execute_inference", IMAGES)
        second = await client.call_tool("execute_inference", IMAGES | {"prompt": "another"})
    assert not first.is_error
    assert error_code(second) == "SPENDING_LIMIT_REACHED"
    assert f"{PRICE / 2:g} of {1.5 * PRICE:g} CU are left" in text_of(second)
    assert sandbox.state.arrived["execute_inference"] == 1


async def test_a_balance_that_is_too_low_is_refused_with_the_missing_amount(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(YES)
    sandbox.state.workspaces[0].balance_creative_units = PRICE - 0.1
    async with host.connect(strict, elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES)
    assert error_code(result) == "INSUFFICIENT_BALANCE"
    assert "You need 0.1 more CU." in text_of(result)
    assert person.questions == []
    assert sandbox.state.arrived == {"estimate_price": 1}


def break_estimates(sandbox: RunningSandbox) -> None:
    """Let no estimate be answered with a price."""
    sandbox.state.knobs.fail_next("estimate_price", *[Fault("html")] * 10)


@pytest.mark.parametrize("host", ASKING, ids=str)
async def test_tells_a_person_that_the_price_is_unknown(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    break_estimates(sandbox)
    person = Person(YES)
    async with host.connect(environment, elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES)
    assert not result.is_error
    [question] = person.questions
    assert "didn't give a price" in question
    assert sandbox.state.arrived["execute_inference"] == 1


@pytest.mark.parametrize("argument", [{}, {"max_price_creative_units": 1000}], ids=str)
async def test_sends_nothing_without_a_price_and_a_person(
    argument: dict[str, Any], host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    break_estimates(sandbox)
    async with host.connect(environment) as client:
        result = await client.call_tool("execute_inference", IMAGES | argument)
    assert error_code(result) == "PRICE_UNKNOWN"
    assert sandbox.state.arrived["execute_inference"] == 0


@pytest.mark.parametrize("host", ROUNDS, ids=str)
async def test_asks_again_if_the_price_changed_before_the_answer(
    host: Host, stub: StubLayer, tmp_path: Path
) -> None:
    prices = iter([30, 40])
    last = [0]

    def estimate(_: object) -> Reply:
        last[0] = next(prices, last[0])
        return Reply({"estimated_price_creative_units": last[0]})

    started = {"inference_id": RUN_ID, "status": "in_progress"}
    stub.answers |= {"/inferences/estimate": estimate, "/inferences": Reply(started, status=202)}
    person = Person(YES)
    async with host.connect(stub.environment(tmp_path), elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES)
    assert content_of(result)["inference_id"] == RUN_ID
    assert [question.partition("?")[0] for question in person.questions] == [
        f"Start 3 outputs for {price} CU" for price in (30, 40)
    ]
    assert len(stub.requests_to(f"{WORKSPACE}/inferences")) == 1


@pytest.mark.parametrize("host", ROUNDS, ids=str)
async def test_a_changed_balance_does_not_repeat_the_question(
    host: Host, stub: StubLayer, tmp_path: Path
) -> None:
    balances = iter(range(1000, 0, -1))

    def estimate(_: object) -> Reply:
        price = {"estimated_price_creative_units": 30}
        return Reply(price | {"workspace_balance_creative_units": next(balances)})

    started = {"inference_id": RUN_ID, "status": "in_progress"}
    stub.answers |= {"/inferences/estimate": estimate, "/inferences": Reply(started, status=202)}
    person = Person(YES)
    async with host.connect(stub.environment(tmp_path), elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES)
    assert content_of(result)["inference_id"] == RUN_ID
    [question] = person.questions
    assert "The balance is 1000 CU." in question
    assert len(stub.requests_to("/inferences/estimate")) > 1


@pytest.mark.parametrize("host", ASKING, ids=str)
@pytest.mark.parametrize(
    "content",
    [{"approve": "perhaps"}, {"approve": ["yes"]}, {"answer": "no"}, None],
    ids=["no flag", "a list", "another form", "nothing"],
)
async def test_an_answer_of_another_shape_is_not_approval(
    content: Any, host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(ElicitResult(action="accept", content=content))
    async with host.connect(strict, elicitation_callback=person) as client:
        result = await client.call_tool("execute_inference", IMAGES)
    assert error_code(result) == "NOT_ANSWERED"
    assert sandbox.state.arrived["execute_inference"] == 0


async def crash(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    """A form that cannot be shown."""
    raise RuntimeError("no window")


@pytest.mark.slow
@pytest.mark.parametrize("host", LIVE, ids=str)
@pytest.mark.parametrize("callback", [BROKEN, crash], ids=["error", "crash"])
async def test_a_client_that_fails_to_ask_counts_as_one_that_cannot_ask(
    callback: ElicitationFnT, host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(strict, elicitation_callback=callback) as client:
        refused = await client.call_tool("execute_inference", IMAGES)
        sent_before = sandbox.state.arrived["execute_inference"]
        allowed = IMAGES | {"max_price_creative_units": PRICE}
        result = await client.call_tool("execute_inference", allowed)
    assert error_code(refused) == "CONFIRMATION_REQUIRED"
    assert f"max_price_creative_units {PRICE:g}" in content_of(refused)["next_step"]
    assert not result.is_error
    assert (sent_before, sandbox.state.arrived["execute_inference"]) == (0, 1)


@pytest.mark.parametrize("host", ROUNDS, ids=str)
@pytest.mark.parametrize("callback", [BROKEN, crash], ids=["error", "crash"])
async def test_a_client_that_gives_up_between_the_rounds_has_sent_nothing(
    callback: ElicitationFnT, host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with host.connect(strict, elicitation_callback=callback) as client:
        with pytest.raises((MCPError, ExceptionGroup)):
            await client.call_tool("execute_inference", IMAGES)
        assert (await client.list_tools()).tools
    assert sandbox.state.arrived["execute_inference"] == 0


@pytest.mark.parametrize("host", ASKING, ids=str)
async def test_a_workflow_is_asked_about_by_its_name(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(YES)
    async with host.connect(strict, elicitation_callback=person) as client:
        result = await client.call_tool("execute_workflow", ICONS)
    assert content_of(result)["run_id"] in sandbox.state.workflow_runs
    assert person.questions == ['Start a run for 1 CU? The balance is 1000 CU. It uses "Icon set".']
    assert sandbox.state.arrived["execute_workflow"] == 1


@pytest.mark.parametrize("host", ASKING, ids=str)
async def test_no_workflow_starts_without_approval(
    host: Host, strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    person = Person(ElicitResult(action="decline"))
    async with host.connect(strict, elicitation_callback=person) as client:
        result = await client.call_tool("execute_workflow", ICONS)
    assert error_code(result) == "DECLINED"
    assert sandbox.state.arrived["execute_workflow"] == 0


async def test_if_the_client_cannot_ask_about_a_workflow_the_agent_asks(
    strict: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(strict) as client:
        refused = await client.call_tool("execute_workflow", ICONS)
        allowed = ICONS | {"max_price_creative_units": 1}
        result = await client.call_tool("execute_workflow", allowed)
    assert error_code(refused) == "CONFIRMATION_REQUIRED"
    assert not result.is_error
    assert sandbox.state.arrived["execute_workflow"] == 1
