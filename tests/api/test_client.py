"""LayerClient against the sandbox: its requests, its retries, and its errors."""

import json
import logging
import traceback
from collections import Counter
from collections.abc import AsyncGenerator

import anyio
import pytest

from layer_mcp import (
    InferenceRequest,
    LayerClient,
    LayerError,
    Settings,
    SettingsError,
    __version__,
)
from layer_mcp.api.retry import Limits
from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.state import Operation, SandboxWorkspace
from layer_mcp.server.app import create_server

from ..support.hosts import IMAGE_MODEL, SMALL_IMAGE
from ..support.raw_servers import http_answer, raw_server

pytestmark = pytest.mark.anyio

REQUEST = InferenceRequest.model_validate(SMALL_IMAGE)
# Long enough for a busy machine, except for a client that has to give up on an answer.
PATIENT = Limits(read_total_seconds=20, submit_total_seconds=20, retry_budget_seconds=2)
HASTY = Limits(read_total_seconds=1, submit_total_seconds=1, retry_budget_seconds=2)
UNKNOWN_ID = "00000000-0000-4000-8000-0000000000ff"


@pytest.fixture
async def layer(sandbox: RunningSandbox) -> AsyncGenerator[LayerClient]:
    async with client_of(sandbox) as client:
        yield client


def client_of(
    sandbox: RunningSandbox, *, workspace: str | None = None, limits: Limits = PATIENT
) -> LayerClient:
    return LayerClient(
        sandbox.token,
        workspace=workspace or sandbox.workspace_id,
        api_url=sandbox.api_url,
        limits=limits,
    )


def arrived(sandbox: RunningSandbox) -> Counter[Operation]:
    return sandbox.state.arrived


async def test_the_client_works_without_a_server(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYER_API_URL", sandbox.api_url + "/v1/")
    monkeypatch.setenv("LAYER_TOKEN", sandbox.token)
    async with LayerClient.from_env() as layer:
        started = await layer.execute_inference(REQUEST)
        run = await layer.wait(started.inference_id, 10)
    assert run.status == "complete"
    assert len(run.outputs) == 1


async def test_the_body_is_flat_and_holds_what_was_given_plus_the_documented_defaults(
    layer: LayerClient, sandbox: RunningSandbox
) -> None:
    await layer.execute_inference(InferenceRequest(model_id=IMAGE_MODEL, prompt="x", width=64))
    assert json.loads(sandbox.state.arrivals[-1].body) == {
        "model_id": IMAGE_MODEL,
        "prompt": "x",
        "width": 64,
        "batch_size": 4,
        "seed": -1,
        "video_effects": [],
        "guidance_files": [],
    }


async def test_each_request_carries_the_token_and_the_version(
    layer: LayerClient, sandbox: RunningSandbox
) -> None:
    await layer.list_workspaces()
    headers = sandbox.state.arrivals[-1].headers
    assert headers["authorization"] == f"Bearer {sandbox.token}"
    assert headers["user-agent"] == f"layer-mcp/{__version__}"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", status=429, code="RATE_LIMITED"),
        Fault("status", status=503, code="SERVICE_UNAVAILABLE"),
        Fault("status", status=429, code="RATE_LIMITED", headers={"retry-after": "1"}),
    ],
    ids=["429", "503", "429 retry-after"],
)
async def test_resubmits_a_request_that_was_not_accepted(
    fault: Fault, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", fault)
    started = await layer.execute_inference(REQUEST)
    assert started.inference_id in sandbox.state.runs
    assert arrived(sandbox)["execute_inference"] == 2
    assert len(sandbox.state.runs) == 1


async def test_a_retry_after_beyond_the_budget_is_reported_without_waiting(
    layer: LayerClient, sandbox: RunningSandbox
) -> None:
    fault = Fault("status", status=429, code="RATE_LIMITED", headers={"retry-after": "90"})
    sandbox.state.knobs.fail_next("execute_inference", fault)
    with pytest.raises(LayerError) as caught:
        await layer.execute_inference(REQUEST)
    assert (caught.value.code, caught.value.retry_after_seconds) == ("RATE_LIMITED", 90)
    assert "90 s" in caught.value.next_step
    assert arrived(sandbox)["execute_inference"] == 1


UNKNOWN_OUTCOMES = {
    "dropped before": Fault("drop"),
    "dropped after": Fault("drop", accepted=True),
    "500 before": Fault("status", status=500),
    "500 after": Fault("status", status=500, accepted=True),
    "502 page": Fault("html", status=502, accepted=True),
    "503 page before": Fault("html", status=503),
    "503 page retry-after": Fault("html", status=503, headers={"retry-after": "0"}),
    "429 page": Fault("html", status=429),
    "503 page after": Fault("html", status=503, accepted=True),
    "504": Fault("status", status=504, code="GATEWAY_TIMEOUT", accepted=True),
    "408": Fault("status", status=408, code="TIMEOUT"),
    "200 page": Fault("html", status=200, accepted=True),
}


@pytest.mark.parametrize("fault", UNKNOWN_OUTCOMES.values(), ids=UNKNOWN_OUTCOMES)
async def test_an_unknown_outcome_is_reported_and_never_submitted_again(
    fault: Fault, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", fault)
    with pytest.raises(LayerError) as caught:
        await layer.execute_inference(REQUEST)
    assert caught.value.code == "OUTCOME_UNKNOWN"
    assert "outcome is unknown" in caught.value.message
    assert "before trying again" in caught.value.next_step
    assert arrived(sandbox)["execute_inference"] == 1


async def test_the_outcome_of_a_submission_that_takes_too_long_is_unknown(
    sandbox: RunningSandbox,
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", Fault("slow", delay_seconds=5))
    async with client_of(sandbox, limits=HASTY) as layer:
        with pytest.raises(LayerError, match="OUTCOME_UNKNOWN"):
            await layer.execute_inference(REQUEST)
    assert arrived(sandbox)["execute_inference"] == 1


@pytest.mark.parametrize("effect", ["cut", "truncate"])
async def test_an_id_that_arrived_in_a_broken_answer_is_not_lost(
    effect: str, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    fault = Fault("cut" if effect == "cut" else "truncate", accepted=True)
    sandbox.state.knobs.fail_next("execute_inference", fault)
    started = await layer.execute_inference(REQUEST)
    assert list(sandbox.state.runs) == [started.inference_id]
    assert arrived(sandbox)["execute_inference"] == 1


REFUSALS = {
    "INVALID_INPUTS": Fault("status", status=400, code="INVALID_INPUTS"),
    "FORBIDDEN": Fault("status", status=403, code="FORBIDDEN"),
    "FEATURE_DISABLED": Fault("status", status=403, code="FEATURE_DISABLED"),
    "MODEL_NOT_FOUND": Fault("status", status=404, code="MODEL_NOT_FOUND"),
    "CONTENT_POLICY_VIOLATION": Fault("status", status=422, code="CONTENT_POLICY_VIOLATION"),
    "UNEXPECTED_RESPONSE": Fault("html", status=404),
    "UNEXPECTED_REDIRECT": Fault("html", status=307, headers={"location": "/api/v1/workspaces"}),
}


@pytest.mark.parametrize(("code", "fault"), REFUSALS.items(), ids=REFUSALS)
async def test_a_refusal_has_its_own_code_and_is_not_repeated(
    code: str, fault: Fault, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", fault)
    with pytest.raises(LayerError) as caught:
        await layer.execute_inference(REQUEST)
    assert caught.value.code == code
    assert arrived(sandbox) == {"execute_inference": 1}


async def test_a_wrong_token_is_unauthenticated(sandbox: RunningSandbox) -> None:
    sandbox.state.token = "another"
    async with LayerClient(
        "wrong", workspace=sandbox.workspace_id, api_url=sandbox.api_url
    ) as layer:
        with pytest.raises(LayerError, match="UNAUTHENTICATED"):
            await layer.execute_inference(REQUEST)


async def test_an_empty_balance_is_refused(layer: LayerClient, sandbox: RunningSandbox) -> None:
    sandbox.state.workspaces[0].balance_creative_units = 0
    with pytest.raises(LayerError, match="INSUFFICIENT_BALANCE"):
        await layer.execute_inference(REQUEST.model_copy(update={"width": 2048, "height": 2048}))
    assert not sandbox.state.runs


async def test_a_sixth_run_at_the_same_time_is_refused(
    layer: LayerClient, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.run_seconds = 600
    for _ in range(5):
        await layer.execute_inference(REQUEST)
    with pytest.raises(LayerError, match="RATE_LIMITED"):
        await layer.execute_inference(REQUEST)
    assert len(sandbox.state.runs) == 5


@pytest.mark.parametrize("style", ["problem", "fields"])
async def test_both_shapes_of_a_422_name_the_field(
    style: str, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.validation_style = "fields" if style == "fields" else "problem"
    unchecked = InferenceRequest.model_construct(model_id=IMAGE_MODEL, batch_size=99)
    with pytest.raises(LayerError, match="batch_size") as caught:
        await layer.execute_inference(unchecked)
    assert caught.value.code == "INVALID_INPUTS"


async def test_an_unknown_run_is_not_found_and_the_error_has_its_id(layer: LayerClient) -> None:
    with pytest.raises(LayerError) as caught:
        await layer.get_inference(UNKNOWN_ID)
    assert (caught.value.code, caught.value.inference_id) == ("INFERENCE_NOT_FOUND", UNKNOWN_ID)


async def test_an_unknown_model_lists_the_available_ones(layer: LayerClient) -> None:
    with pytest.raises(LayerError, match=IMAGE_MODEL) as caught:
        await layer.execute_inference(REQUEST.model_copy(update={"model_id": UNKNOWN_ID}))
    assert caught.value.code == "MODEL_NOT_FOUND"
    assert caught.value.message.endswith("audio.")


async def test_an_unknown_workspace_is_not_found(sandbox: RunningSandbox) -> None:
    async with client_of(sandbox, workspace=UNKNOWN_ID) as layer:
        with pytest.raises(LayerError, match="WORKSPACE_NOT_FOUND"):
            await layer.execute_inference(REQUEST)


@pytest.mark.parametrize(
    "fault",
    [Fault("drop"), Fault("cut"), Fault("status", status=502)],
    ids=["drop", "cut", "502"],
)
async def test_retries_a_read_after_a_fault(
    fault: Fault, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    started = await layer.execute_inference(REQUEST)
    sandbox.state.knobs.fail_next("get_inference", fault)
    assert (await layer.get_inference(started.inference_id)).status == "complete"
    assert arrived(sandbox)["get_inference"] == 2


async def test_retries_a_read_that_takes_too_long(sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.fail_next("get_inference", Fault("slow", delay_seconds=5))
    async with client_of(sandbox, limits=HASTY) as layer:
        started = await layer.execute_inference(REQUEST)
        assert (await layer.get_inference(started.inference_id)).status == "complete"
    assert arrived(sandbox)["get_inference"] == 2


async def test_limits_the_number_of_reads(layer: LayerClient, sandbox: RunningSandbox) -> None:
    sandbox.state.knobs.fail_next("get_inference", *[Fault("drop")] * 20)
    with pytest.raises(LayerError, match="CONNECTION_LOST"):
        await layer.get_inference(UNKNOWN_ID)
    assert arrived(sandbox)["get_inference"] <= 4


async def test_reads_that_stay_unreadable_are_an_unexpected_response_that_may_pass(
    layer: LayerClient, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("get_inference", *[Fault("html", status=200)] * 20)
    with pytest.raises(LayerError) as caught:
        await layer.get_inference(UNKNOWN_ID)
    assert (caught.value.code, caught.value.transient) == ("UNEXPECTED_RESPONSE", True)


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [("COMPLETED", "complete"), ("Complete", "complete"), ("canceled", "cancelled")],
)
async def test_a_status_in_another_spelling_ends_the_wait(
    spelled: str, meant: str, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.status_spelling = {"complete": spelled}
    started = await layer.execute_inference(REQUEST)
    assert (await layer.wait(started.inference_id, 10)).status == meant
    assert arrived(sandbox)["get_inference"] == 1


async def test_waiting_continues_after_faults_and_slow_polls(
    layer: LayerClient, sandbox: RunningSandbox
) -> None:
    started = await layer.execute_inference(REQUEST)
    known = await layer.get_inference(started.inference_id)
    still = known.model_copy(update={"status": "in_progress", "poll_interval_seconds": 0})
    sandbox.state.knobs.fail_next(
        "get_inference", Fault("drop"), Fault("html", status=502), Fault("slow", delay_seconds=0.2)
    )
    run = await layer.wait(started.inference_id, 20, known=still)
    assert run.status == "complete"
    assert arrived(sandbox)["get_inference"] == 4


async def test_a_wait_that_is_refused_names_the_run(
    layer: LayerClient, sandbox: RunningSandbox
) -> None:
    with pytest.raises(LayerError) as caught:
        await layer.wait(UNKNOWN_ID, 20)
    assert (caught.value.code, caught.value.inference_id) == ("INFERENCE_NOT_FOUND", UNKNOWN_ID)
    assert arrived(sandbox)["get_inference"] == 1


async def test_a_wait_that_finds_no_workspace_names_the_run_too(sandbox: RunningSandbox) -> None:
    async with client_of(sandbox, workspace="nope") as layer:
        with pytest.raises(LayerError) as caught:
            await layer.wait(UNKNOWN_ID, 20)
    assert (caught.value.code, caught.value.inference_id) == ("WORKSPACE_NOT_FOUND", UNKNOWN_ID)


@pytest.mark.parametrize("status", [400, 500])
async def test_a_token_that_layer_repeats_is_not_passed_on(
    status: int, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    fault = Fault("status", status=status, detail=f"Bad token {sandbox.token} here")
    sandbox.state.knobs.fail_next("execute_inference", fault)
    with pytest.raises(LayerError, match=r"Bad token \[token\] here") as caught:
        await layer.execute_inference(REQUEST)
    assert sandbox.token not in str(caught.value)


async def test_a_long_token_that_layer_repeats_leaves_no_part_behind(
    sandbox: RunningSandbox,
) -> None:
    sandbox.state.token = "j" * 700
    sandbox.state.knobs.fail_next(
        "execute_inference", Fault("status", status=400, detail=f"Bad token {sandbox.state.token}")
    )
    async with client_of(sandbox) as layer:
        with pytest.raises(LayerError) as caught:
            await layer.execute_inference(REQUEST)
    assert "jj" not in repr(caught.value) + str(caught.value) + caught.value.message


async def test_the_error_has_the_id_that_an_error_answer_names() -> None:
    with raw_server(http_answer("504 Late", b'{"inference_id": "run-7"}')) as api:
        url = f"http://127.0.0.1:{api.port}/api"
        async with LayerClient("t", workspace=UNKNOWN_ID, api_url=url, limits=PATIENT) as other:
            with pytest.raises(LayerError) as caught:
                await other.execute_inference(REQUEST)
    assert (caught.value.code, caught.value.inference_id) == ("OUTCOME_UNKNOWN", "run-7")
    assert caught.value.next_step.startswith("Check the status of that run")


async def test_a_cancelled_submission_leaves_a_line_in_the_log(
    sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.state.knobs.fail_next("execute_inference", Fault("slow", delay_seconds=2))
    async with LayerClient(
        sandbox.token, workspace=sandbox.workspace_id, api_url=sandbox.api_url
    ) as layer:
        with anyio.move_on_after(0.7):
            await layer.execute_inference(REQUEST)
    assert "A paid request was sent, but no response arrived" in caplog.text


async def test_a_workspace_with_gaps_does_not_hide_the_others() -> None:
    body = b"""{"workspaces": [{"workspace_id": "w1", "slug": null, "name": "Art"}, {"slug": "x"},
        7], "pagination": {"has_more_results": null}}"""
    with raw_server(http_answer("200 OK", body)) as api:
        async with LayerClient("t", api_url=f"http://127.0.0.1:{api.port}/api") as layer:
            assert await layer.workspace_id("art") == "w1"


def test_the_sandbox_switch_never_reaches_a_real_account() -> None:
    settings = Settings(api_token="pat_real", sandbox=True)
    with pytest.raises(SettingsError, match="LAYER_SANDBOX"):
        LayerClient.from_settings(settings)
    with pytest.raises(SettingsError, match="LAYER_SANDBOX"):
        create_server(settings)


@pytest.mark.parametrize("url", ["http://layer.test/api", "ftp://x"])
def test_an_address_without_encryption_is_refused_in_the_library_too(url: str) -> None:
    with pytest.raises(SettingsError):
        LayerClient("t", api_url=url)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SSL_CERT_FILE", "/no/such/file.pem"), ("HTTPS_PROXY", "carrier-pigeon://x")],
)
async def test_a_broken_setup_of_this_machine_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    async with LayerClient("t", workspace=UNKNOWN_ID, api_url="https://layer.test/api") as layer:
        with pytest.raises(LayerError) as caught:
            await layer.execute_inference(REQUEST)
    assert caught.value.code == "NETWORK_SETTINGS"
    assert "Fix or remove the variable" in caught.value.next_step


async def test_the_only_workspace_is_looked_up_once(sandbox: RunningSandbox) -> None:
    async with LayerClient(sandbox.token, api_url=sandbox.api_url) as layer:
        await layer.execute_inference(REQUEST)
        await layer.execute_inference(REQUEST)
    assert arrived(sandbox) == {"list_workspaces": 1, "execute_inference": 2}


async def test_several_workspaces_are_listed_and_nothing_is_submitted(
    sandbox: RunningSandbox,
) -> None:
    sandbox.state.workspaces.append(SandboxWorkspace(UNKNOWN_ID, "lab", "Lab"))
    async with LayerClient(sandbox.token, api_url=sandbox.api_url) as layer:
        with pytest.raises(LayerError, match=f"Lab .{UNKNOWN_ID}") as caught:
            await layer.execute_inference(REQUEST)
    assert caught.value.code == "WORKSPACE_REQUIRED"
    assert arrived(sandbox) == {"list_workspaces": 1}


async def test_a_workspace_on_the_third_page_is_found_by_name(sandbox: RunningSandbox) -> None:
    sandbox.state.workspaces += [
        SandboxWorkspace(f"00000000-0000-4000-8000-{n:012d}", f"w{n}", f"Team {n}")
        for n in range(250)
    ]
    async with client_of(sandbox, workspace="team 249") as layer:
        assert await layer.workspace_id() == "00000000-0000-4000-8000-000000000249"
    assert arrived(sandbox) == {"list_workspaces": 3}


async def test_a_key_of_another_service_is_never_sent_to_layer(sandbox: RunningSandbox) -> None:
    async with LayerClient("sk-ant-hush", api_url=sandbox.api_url) as layer:
        with pytest.raises(LayerError, match=r"UNAUTHENTICATED: .* an Anthropic key") as refused:
            await layer.list_workspaces()
    assert "hush" not in str(refused.value)
    assert sandbox.state.arrived.total() == 0


async def test_without_a_token_nothing_is_sent(sandbox: RunningSandbox) -> None:
    async with LayerClient(None, workspace=UNKNOWN_ID, api_url=sandbox.api_url) as layer:
        with pytest.raises(LayerError, match="MISSING_TOKEN"):
            await layer.execute_inference(REQUEST)
    assert not arrived(sandbox)


async def test_an_id_cannot_leave_its_place_in_the_address(
    layer: LayerClient, sandbox: RunningSandbox
) -> None:
    with pytest.raises(LayerError):
        await layer.get_inference("../../../workspaces?x=")
    assert arrived(sandbox)["list_workspaces"] == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", '"http://user:hush@proxy.test:3128"'),
        ("https_proxy", "http://user:hush@proxy.test:port"),
        ("ALL_PROXY", "hush://user:hush@proxy.test"),
        ("SSL_CERT_FILE", "/hush/file.pem"),
    ],
)
async def test_an_unusable_network_setting_is_named_and_its_value_is_not_shown(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(name, value)
    async with LayerClient("t", workspace=UNKNOWN_ID, api_url="https://layer.test/api") as layer:
        with pytest.raises(LayerError, match=name) as caught:
            await layer.execute_inference(REQUEST)
    assert caught.value.code == "NETWORK_SETTINGS"
    shown = "".join(traceback.format_exception(caught.value))
    assert "hush" not in shown + caplog.text
