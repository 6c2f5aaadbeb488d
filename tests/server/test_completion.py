"""Completion: names become IDs, few requests are sent, and nothing is ever an error."""

from dataclasses import replace
from typing import Literal

import anyio
import pytest
from mcp import Client
from mcp.types import Completion, PromptReference, ResourceTemplateReference

from layer_mcp import Settings
from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_models
from layer_mcp.sandbox.state import SandboxWorkspace
from layer_mcp.server.app import create_server

from ..support.hosts import IMAGE_MODEL, MEMORY, Host

pytestmark = pytest.mark.anyio

ICONS = PromptReference(name="icon_set")
MODEL = ResourceTemplateReference(uri="layer://models/{id}{?workspace_id}")
IDS = {model.name: model.model_id for model in sandbox_models()}
IMAGE_MODELS = [IDS["Sandbox Image"], IDS["Sandbox Image Fast"], IDS["Sandbox Upscale"]]
STUDIO = SandboxWorkspace("00000000-0000-4000-8000-0000000000bb", "studio", "The Studio")


async def complete(
    client: Client,
    reference: PromptReference | ResourceTemplateReference,
    name: str,
    typed: str,
    **known: str,
) -> Completion:
    argument = {"name": name, "value": typed}
    return (await client.complete(reference, argument, known or None)).completion


async def complete_until_found(
    client: Client,
    reference: PromptReference | ResourceTemplateReference,
    name: str,
    typed: str,
    **known: str,
) -> Completion:
    """Complete until there are values; on a slow machine, the first completions may have none."""
    with anyio.fail_after(30):
        while not (found := await complete(client, reference, name, typed, **known)).values:
            pass
    return found


async def test_completes_a_model_name_to_its_id(host: Host, environment: dict[str, str]) -> None:
    async with host.connect(environment) as client:
        for reference, name in ((ICONS, "model_id"), (MODEL, "id")):
            assert (await complete_until_found(client, reference, name, "image fast")).values == [
                IDS["Sandbox Image Fast"]
            ]
            assert (await complete_until_found(client, reference, name, IMAGE_MODEL)).values == [
                IMAGE_MODEL
            ]


async def test_completes_a_workspace_by_name_slug_or_id(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.workspaces.append(STUDIO)
    async with host.connect(environment) as client:
        for typed in ("THE st", "studio", STUDIO.workspace_id):
            found = await complete_until_found(client, ICONS, "workspace_id", typed)
            assert (found.values, found.total) == ([STUDIO.workspace_id], 1)
        everything = await complete_until_found(client, MODEL, "workspace_id", "")
    assert everything.values == [sandbox.workspace_id, STUDIO.workspace_id]


async def test_a_prompt_offers_only_suitable_models(
    environment: dict[str, str],
) -> None:
    async with MEMORY.connect(environment) as client:
        found = {
            name: (
                await complete_until_found(client, PromptReference(name=name), "model_id", "")
            ).values
            for name in ("icon_set", "image_to_3d", "sound_effect", "upscale_and_cut_out")
        }
    assert found == {
        "icon_set": IMAGE_MODELS,
        "image_to_3d": [IDS["Sandbox 3D"]],
        "sound_effect": [IDS["Sandbox Sound"]],
        "upscale_and_cut_out": [IDS["Sandbox Upscale"]],
    }


async def test_offers_models_of_the_chosen_workspace(
    environment: dict[str, str],
) -> None:
    async with MEMORY.connect(environment) as client:
        found = await complete(client, ICONS, "model_id", "", workspace_id="nowhere")
        chosen = await complete_until_found(client, ICONS, "model_id", "", workspace_id=" sandbox ")
    assert (found.values, chosen.values) == ([], IMAGE_MODELS)


async def test_prefix_matches_come_first(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    first, second, *_ = sandbox_models()
    sandbox.state.models = (replace(first, name="Big Red"), replace(second, name="Red"))
    async with MEMORY.connect(environment) as client:
        found = await complete_until_found(client, ICONS, "model_id", "red")
    assert found.values == [second.model_id, first.model_id]


async def test_offers_the_choices_of_an_argument(environment: dict[str, str]) -> None:
    async with MEMORY.connect(environment) as client:
        upscale = PromptReference(name="upscale_and_cut_out")
        assert (await complete_until_found(client, upscale, "factor", "")).values == ["2", "4"]
        assert (await complete_until_found(client, upscale, "factor", "4")).values == ["4"]


async def test_sends_at_most_a_hundred_values_and_counts_the_rest(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    many(sandbox, 130)
    async with MEMORY.connect(environment) as client:
        found = await complete_until_found(client, ICONS, "model_id", "")
        narrowed = await complete_until_found(client, ICONS, "model_id", "model 12")
    assert (len(found.values), found.total, found.has_more) == (100, 130, True)
    assert (len(narrowed.values), narrowed.total, narrowed.has_more) == (11, 11, False)


async def test_reads_only_the_first_pages_of_a_long_list(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    many(sandbox, 700)
    async with MEMORY.connect(environment) as client:
        found = await complete_until_found(client, ICONS, "model_id", "model 49")
    assert (len(found.values), found.total, found.has_more) == (11, None, True)
    assert sandbox.state.arrived["list_models"] == 5


def many(sandbox: RunningSandbox, number: int) -> None:
    model = sandbox_models()[0]
    sandbox.state.models = tuple(
        replace(model, model_id=f"00000000-0000-4000-8000-{place:012}", name=f"Model {place}")
        for place in range(number)
    )


async def test_many_keystrokes_send_one_request(
    host: Host, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("list_models", Fault("slow", delay_seconds=0.5))
    found: list[list[str]] = []
    async with host.connect(environment) as client:

        async def press(typed: str) -> None:
            found.append((await complete(client, ICONS, "model_id", typed)).values)

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                for length in range(1, 6):
                    tasks.start_soon(press, "sandbox"[:length])
        await complete_until_found(client, ICONS, "model_id", "s")
    assert len(found) == 50
    assert all(values in ([], IMAGE_MODELS) for values in found)
    assert sandbox.state.arrived["list_models"] == 1


async def test_a_slow_list_is_available_for_a_later_keystroke(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    sandbox.state.knobs.fail_next("list_models", Fault("slow", delay_seconds=4))
    async with MEMORY.connect(environment) as client:
        assert (await complete(client, ICONS, "model_id", "s")).values == []
        assert (await complete_until_found(client, ICONS, "model_id", "sa")).values == IMAGE_MODELS
    assert sandbox.state.arrived["list_models"] == 1


@pytest.mark.parametrize(
    ("reference", "name", "typed"),
    [
        (ICONS, "subjects", "s"),
        (ICONS, "nothing", ""),
        (ICONS, "", ""),
        (ICONS, "model_id", "s" * 100_000),
        (ICONS, "model_id", "no such model"),
        (PromptReference(name="nothing"), "model_id", ""),
        (MODEL, "nothing", ""),
        (ResourceTemplateReference(uri="layer://outputs/{file_id}"), "file_id", ""),
        (ResourceTemplateReference(uri="layer://nothing/{id}"), "id", ""),
        (ResourceTemplateReference(uri="../../{id"), "id", ""),
    ],
)
async def test_an_argument_that_cannot_be_completed_has_no_values(
    reference: PromptReference | ResourceTemplateReference,
    name: str,
    typed: str,
    environment: dict[str, str],
) -> None:
    async with MEMORY.connect(environment) as client:
        found = await complete(client, reference, name, typed)
    assert (found.values, found.total, found.has_more) == ([], 0, False)


@pytest.mark.process
@pytest.mark.parametrize(
    "broken",
    [
        {"LAYER_API_KEY": ""},
        {"LAYER_API_KEY": "wrong"},
        {"LAYER_API_URL": "http://127.0.0.1:9/api"},
        {"LAYER_WORKSPACE_ID": "nowhere"},
    ],
    ids=["no token", "a wrong token", "nobody there", "no such workspace"],
)
async def test_completion_is_empty_if_layer_cannot_be_reached(
    broken: dict[str, str], environment: dict[str, str]
) -> None:
    async with MEMORY.connect(environment | broken) as client:
        assert (await complete(client, ICONS, "model_id", "s")).values == []
        assert (await complete(client, MODEL, "id", "")).values == []


async def test_a_failed_list_is_not_requested_at_every_keystroke(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    refused = Fault("status", status=403, code="FORBIDDEN")
    sandbox.state.knobs.fail_next("list_models", refused)
    async with MEMORY.connect(environment) as client:
        found = [await complete(client, ICONS, "model_id", typed) for typed in ("s", "sa", "san")]
    assert [each.values for each in found] == [[], [], []]
    assert sandbox.state.arrived["list_models"] == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_server_declares_completions(
    mode: Literal["auto", "legacy"], environment: dict[str, str]
) -> None:
    async with Client(create_server(Settings.from_env(environment)), mode=mode) as client:
        assert client.server_capabilities.completions is not None


async def test_an_unknown_workspace_sends_no_request_for_models(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(environment) as client:
        for typed in ("a", "ab", "abc"):
            await complete(client, MODEL, "id", "", workspace_id=typed)
    assert sandbox.state.arrived["list_models"] == 0
    assert sandbox.state.arrived["list_workspaces"] == 1


async def test_a_failed_list_is_not_reported_as_complete(environment: dict[str, str]) -> None:
    nobody = environment | {"LAYER_API_URL": "http://127.0.0.1:1/api"}
    async with MEMORY.connect(nobody) as client:
        found = await complete(client, MODEL, "id", "")
    assert (found.values, found.total, found.has_more) == ([], None, True)
