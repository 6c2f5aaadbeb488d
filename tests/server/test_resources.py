"""The resources: the lists, what a read returns, and which URIs are rejected."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, BlobResourceContents, TextResourceContents

from layer_mcp.sandbox import Fault, RunningSandbox
from layer_mcp.server import resources
from layer_mcp.server.run_answers import OUTPUT_TEMPLATE

from ..support.hosts import IMAGE_MODEL, MEMORY, SMALL_IMAGE, Host, content_of
from ..support.sandbox_calls import api_of, run


def output_uri(file_id: str) -> str:
    """Return the URI of an output."""
    return OUTPUT_TEMPLATE.format(file_id=file_id.lower())


pytestmark = pytest.mark.anyio

FINISHED = SMALL_IMAGE | {"wait_seconds": 20, "preview": False}
MODEL = f"layer://models/{IMAGE_MODEL}"
NOBODY = "00000000-0000-4000-8000-00000000dead"


async def generate_output(client: Client, **arguments: Any) -> dict[str, Any]:
    """Run a generation and return its only output."""
    answer = content_of(await client.call_tool("execute_inference", FINISHED | arguments))
    if answer["status"] == "in_progress":
        arguments = {"inference_id": answer["inference_id"], "wait_seconds": 40, "preview": False}
        answer = content_of(await client.call_tool("get_status", arguments))
    [output] = answer["outputs"]
    return output


async def read_text(client: Client, uri: str) -> Any:
    """Read the JSON of a resource."""
    [content] = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "application/json"
    return json.loads(content.text)


async def read_file(client: Client, uri: str) -> tuple[bytes, str | None]:
    """Read the bytes of a resource and their media type."""
    [content] = (await client.read_resource(uri)).contents
    assert isinstance(content, BlobResourceContents)
    return base64.b64decode(content.blob), content.mime_type


def download(url: str) -> bytes:
    return httpx.get(url, trust_env=False).content


def without_next_step(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "next_step"}


async def test_lists_the_resources_in_a_fixed_order(
    host: Host, environment: dict[str, str]
) -> None:
    async with host.connect(environment) as client:
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
    ours = [one for one in resources if str(one.uri).startswith("layer:")]
    assert [(str(one.uri), one.mime_type) for one in ours] == [
        ("layer://runs", "application/json"),
        ("layer://workspaces", "application/json"),
    ]
    assert [(one.uri_template, one.mime_type) for one in templates] == [
        ("layer://runs{?limit}", "application/json"),
        ("layer://runs/{inference_id}", "application/json"),
        ("layer://outputs/{file_id}", None),
        ("layer://models/{id}{?workspace_id}", "application/json"),
    ]
    assert all(one.title and one.description for one in (*ours, *templates))


async def test_a_model_resource_matches_get_model(host: Host, environment: dict[str, str]) -> None:
    async with host.connect(environment) as client:
        facts = await read_text(client, MODEL.upper().replace("LAYER://MODELS", "layer://models"))
        answer = content_of(await client.call_tool("get_model", {"model_id": IMAGE_MODEL}))
    assert facts == without_next_step(answer)


async def test_reads_a_model_in_another_workspace(environment: dict[str, str]) -> None:
    async with MEMORY.connect(environment | {"LAYER_WORKSPACE_ID": "nowhere"}) as client:
        with pytest.raises(MCPError, match="WORKSPACE_NOT_FOUND"):
            await client.read_resource(MODEL)
        assert (await read_text(client, f"{MODEL}?workspace_id=sandbox"))["modality"] == "image"


async def test_the_workspaces_resource_matches_list_workspaces(
    host: Host, environment: dict[str, str]
) -> None:
    async with host.connect(environment) as client:
        facts = await read_text(client, "layer://workspaces")
        answer = content_of(await client.call_tool("list_workspaces", {}))
    assert facts == without_next_step(answer)


async def test_an_output_resource_is_the_file(host: Host, environment: dict[str, str]) -> None:
    async with host.connect(environment) as client:
        output = await generate_output(client)
        data, media_type = await read_file(client, output_uri(output["file_id"].upper()))
    assert data == download(output["url"])
    assert media_type == "image/png"


async def test_detects_the_media_type_from_the_content(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    files = sandbox.state.files
    async with MEMORY.connect(environment) as client:
        output = await generate_output(client)
        files[output["file_id"]] = replace(files[output["file_id"]], data=b"RIFF\0\0\0\0WAVEfmt ")
        _, sound = await read_file(client, output_uri(output["file_id"]))
        other = await generate_output(client, prompt="another")
        files[other["file_id"]] = replace(files[other["file_id"]], data=b"neither")
        _, nothing = await read_file(client, output_uri(other["file_id"]))
    assert (sound, nothing) == ("audio/wav", "application/octet-stream")


@pytest.mark.parametrize(
    ("model", "media_type"),
    [("04", "model/gltf-binary"), ("05", "audio/wav"), ("02", "image/webp")],
)
async def test_every_kind_of_output_has_its_media_type(
    model: str, media_type: str, environment: dict[str, str]
) -> None:
    arguments = {"model_id": f"{IMAGE_MODEL[:-2]}{model}"}
    async with MEMORY.connect(environment) as client:
        output = await generate_output(client, **arguments)
        data, read_type = await read_file(client, output_uri(output["file_id"]))
    assert (read_type, len(data)) == (media_type, output["file_size_bytes"])


async def test_reads_an_output_of_a_workflow(environment: dict[str, str]) -> None:
    async with MEMORY.connect(environment | {"LAYER_TOOLSETS": "all"}) as client:
        [workflow, *_] = content_of(await client.call_tool("list_workflows", {}))["workflows"]
        inputs = {each["name"]: "moss" for each in workflow["inputs"] if each.get("required")}
        arguments = {"workflow_id": workflow["workflow_id"], "inputs": inputs, "wait_seconds": 20}
        answer = content_of(await client.call_tool("execute_workflow", arguments))
        output = answer["outputs"][0]
        data, _ = await read_file(client, output_uri(output["file_id"]))
    assert len(data) == output["file_size_bytes"]


async def test_reads_an_output_of_an_earlier_server(environment: dict[str, str]) -> None:
    async with MEMORY.connect(environment) as client:
        output = await generate_output(client)
    async with MEMORY.connect(environment) as client:
        data, _ = await read_file(client, output_uri(output["file_id"]))
    assert data == download(output["url"])


async def test_reads_a_saved_output_from_disk(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    async with MEMORY.connect(environment | {"LAYER_OUTPUT_DIR": str(tmp_path / "out")}) as client:
        output = await generate_output(client)
        before = sandbox.state.arrived["media"]
        data, media_type = await read_file(client, output_uri(output["file_id"]))
    assert data == Path(output["path"]).read_bytes()
    assert media_type == "image/png"
    assert sandbox.state.arrived["media"] == before


async def test_downloads_an_output_whose_saved_file_was_changed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    async with MEMORY.connect(environment | {"LAYER_OUTPUT_DIR": str(tmp_path / "out")}) as client:
        output = await generate_output(client)
        original = Path(output["path"]).read_bytes()
        Path(output["path"]).write_bytes(b"retouched")
        data, _ = await read_file(client, output_uri(output["file_id"]))
    assert data == original


async def test_downloads_an_output_saved_outside_the_output_folder(
    environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path
) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    async with MEMORY.connect(environment | {"LAYER_OUTPUT_DIR": first}) as client:
        output = await generate_output(client)
    before = sandbox.state.arrived["media"]
    async with MEMORY.connect(environment | {"LAYER_OUTPUT_DIR": second}) as client:
        data, _ = await read_file(client, output_uri(output["file_id"]))
    assert data == Path(output["path"]).read_bytes()
    assert sandbox.state.arrived["media"] == before + 1


async def test_describes_a_large_output_with_its_url(
    environment: dict[str, str], sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MAX_FILE_BYTES", 100)
    async with MEMORY.connect(environment) as client:
        output = await generate_output(client)
        facts = await read_text(client, output_uri(output["file_id"]))
    assert {name: facts[name] for name in output} == output
    assert facts["inference_id"] in sandbox.state.runs
    assert facts["next_step"] == "Read it from its URL; no token is needed."
    assert sandbox.state.arrived["media"] == 0


async def test_describes_a_large_saved_output_with_its_path(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "MAX_FILE_BYTES", 100)
    async with MEMORY.connect(environment | {"LAYER_OUTPUT_DIR": str(tmp_path / "out")}) as client:
        output = await generate_output(client)
        facts = await read_text(client, output_uri(output["file_id"]))
    assert facts["path"] == output["path"]
    assert facts["next_step"] == "Read it from its path."


async def test_a_reading_stays_below_the_size_limit_of_hosts() -> None:
    assert len(base64.b64encode(bytes(resources.MAX_FILE_BYTES))) < 950_000


async def test_does_not_download_outputs_of_runs_that_the_journal_does_not_know(
    environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    with api_of(sandbox) as api:
        [output] = run(api)["outputs"]
    async with MEMORY.connect(environment) as client:
        with pytest.raises(MCPError, match="OUTPUT_NOT_FOUND"):
            await client.read_resource(output_uri(output["file_id"]))
    assert sandbox.state.arrived["media"] == 0


@pytest.mark.parametrize(
    ("effect", "code"),
    [
        (Fault("status", status=404), "OUTPUT_GONE"),
        (Fault("status", status=403), "DOWNLOAD_FAILED"),
        (Fault("html", status=200), "DOWNLOAD_FAILED"),
    ],
    ids=["gone", "refused", "a web page"],
)
async def test_a_failed_download_is_an_error_with_a_next_step(
    effect: Fault, code: str, environment: dict[str, str], sandbox: RunningSandbox
) -> None:
    async with MEMORY.connect(environment) as client:
        output = await generate_output(client)
        sandbox.state.knobs.fail_next("media", effect)
        with pytest.raises(MCPError, match=rf"{code}: .*\. .*\.$") as refused:
            await client.read_resource(output_uri(output["file_id"]))
    assert refused.value.error.code == INTERNAL_ERROR


NOT_THERE = [
    ("layer://nothing", "Unknown resource"),
    ("layer://outputs/../../etc/passwd", "Unknown resource"),
    ("layer://outputs/", "OUTPUT_NOT_FOUND: .* Find the run in layer://runs"),
    ("layer://outputs/..%2F..%2Fetc%2Fpasswd", "OUTPUT_NOT_FOUND"),
    ("layer://outputs/%00", "OUTPUT_NOT_FOUND"),
    (f"layer://outputs/{NOBODY}", "OUTPUT_NOT_FOUND"),
    (f"layer://outputs/{'x' * 60_000}", "OUTPUT_NOT_FOUND"),
    (f"layer://runs/{NOBODY}", "RUN_NOT_FOUND"),
    ("layer://runs/x'%20OR%201=1--", "RUN_NOT_FOUND"),
    ("layer://runs?limit=many", "INVALID_ARGUMENTS: limit must be a whole number"),
    ("layer://models/sandbox", "INVALID_ARGUMENTS: model_id must be an ID"),
    (f"layer://models/{NOBODY}", "MODEL_NOT_FOUND"),
    ("file:///etc/passwd", "Unknown resource"),
]


async def test_rejects_a_uri_that_names_nothing(
    host: Host, environment: dict[str, str], subtests: pytest.Subtests
) -> None:
    async with host.connect(environment) as client:
        for uri, sentence in NOT_THERE:
            with subtests.test(uri=uri[:80]):
                with pytest.raises(MCPError, match=sentence) as refused:
                    await client.read_resource(uri)
                assert refused.value.error.code == INVALID_PARAMS
        assert await read_text(client, "layer://runs") == []


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({"LAYER_API_KEY": ""}, "MISSING_TOKEN"),
        ({"LAYER_API_KEY": "wrong"}, "UNAUTHENTICATED"),
        ({"LAYER_API_URL": "http://127.0.0.1:9/api"}, "CONNECTION_FAILED"),
    ],
    ids=["no token", "a wrong token", "nobody there"],
)
@pytest.mark.parametrize("uri", [MODEL, "layer://workspaces"], ids=["model", "workspaces"])
async def test_a_read_that_cannot_reach_layer_has_a_next_step(
    uri: str, broken: dict[str, str], code: str, environment: dict[str, str]
) -> None:
    async with MEMORY.connect(environment | broken) as client:
        with pytest.raises(MCPError, match=rf"{code}: .*\. .*\.$") as refused:
            await client.read_resource(uri)
        assert refused.value.error.code == INTERNAL_ERROR


async def test_reads_outputs_of_this_server_without_a_journal_on_disk(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    settings = {"LAYER_STATE_DIR": str(tmp_path / "file"), "LAYER_JOURNAL": "optional"}
    async with MEMORY.connect(environment | settings) as client:
        output = await generate_output(client)
        data, _ = await read_file(client, output_uri(output["file_id"]))
    assert data == download(output["url"])


async def test_lists_are_cached_publicly_and_reads_privately(
    environment: dict[str, str],
) -> None:
    async with MEMORY.connect(environment) as client:
        output = await generate_output(client)
        lists = [
            await client.list_tools(),
            await client.list_prompts(),
            await client.list_resources(),
            await client.list_resource_templates(),
        ]
        addresses = ("layer://runs", "layer://workspaces", MODEL, output_uri(output["file_id"]))
        reads = [await client.read_resource(uri) for uri in addresses]
    assert {(each.ttl_ms, each.cache_scope) for each in lists} == {(300_000, "public")}
    assert [(each.ttl_ms, each.cache_scope) for each in reads] == [
        (0, "private"),
        (0, "private"),
        (300_000, "private"),
        (3_600_000, "private"),
    ]


async def test_links_only_outputs_that_can_be_read(
    environment: dict[str, str], tmp_path: Path
) -> None:
    async with MEMORY.connect(environment, name="claude-code") as client:
        started = await client.call_tool("execute_inference", SMALL_IMAGE | {"wait_seconds": 20})
    elsewhere = environment | {"LAYER_STATE_DIR": str(tmp_path / "elsewhere")}
    run = {"inference_id": content_of(started)["inference_id"]}
    async with MEMORY.connect(elsewhere, name="claude-code") as client:
        unknown = await client.call_tool("get_status", run)
    linked = [
        [block.type for block in answer.content].count("resource_link")
        for answer in (started, unknown)
    ]
    assert linked == [1, 0]
