"""The IDs of one caller in the calls of another: every tool, resource, and task that takes one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult

from layer_mcp import Settings
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.sandbox.catalog import sandbox_workflows
from layer_mcp.server.app import create_server
from layer_mcp.server.http.settings import HttpSettings
from layer_mcp.server.tasks import RunTasks, Tasks
from layer_mcp.settings import Toolset

from ...support.hosts import SMALL_IMAGE, content_of, error_code, text_of
from ...support.task_client import TakesTasks, get_task, tell_task
from ...support.team_server import team_server

pytestmark = pytest.mark.anyio

JsonObject = dict[str, Any]
Place = tuple[str, str]
"""A tool, and the path of one of its arguments."""

ALL_TOOLSETS: tuple[Toolset, ...] = get_args(Toolset)
WORKFLOW = sandbox_workflows()[0].workflow_id
# What belongs to Layer or to the account. Layer itself checks who can see it.
SHARED_NAMES = ("model_id", "workflow_id", "workspace_id")
SHARED_PLACES = {("list_models", "cursor"), ("list_workflows", "cursor")}
SHARED_TEMPLATES = {"layer://runs{?limit}", "layer://models/{id}{?workspace_id}"}
# A caller with its own key has an account of its own in Layer, so Layer refuses these when it runs.
LEFT_TO_LAYER = ("execute_batch", "estimate_price", "execute_workflow")
FOR_A_TEAM = [HttpSettings(is_insecure=True, allow_disk=allowed) for allowed in (False, True)]
OWN_KEYS = HttpSettings(is_insecure=True, allow_disk=True, payer="caller")


@pytest.fixture
def team(environment: dict[str, str], sandbox: RunningSandbox, tmp_path: Path) -> dict[str, str]:
    """The settings of a server that has all tools."""
    sandbox.state.knobs.run_seconds = 0
    sandbox.state.knobs.max_runs_at_once = 100
    more = {"LAYER_TOOLSETS": "all", "LAYER_PREVIEW": "0", "LAYER_OUTPUT_DIR": str(tmp_path)}
    return environment | more


@dataclass(frozen=True)
class Made:
    """What a caller made, by ID. The cursor is that of its second-newest run."""

    run_id: str
    file_id: str
    batch_id: str
    workflow_run_id: str
    session_id: str
    cursor: str


def calls(made: Made, own_run_id: str) -> dict[Place, tuple[JsonObject, str | None]]:
    """Return a call for each argument that takes what a caller made.

    Its code is that of the refusal, or None for a list without rows.
    """
    image = SMALL_IMAGE | {"prompt": "a copy"}
    inputs = {"prompt": "copies"}
    guided = {"guidance_files": [{"file_id": made.file_id, "type": "init"}]}
    masked = {"mask": {"file_id": made.file_id, "edge_radius": 1}}
    styled = {"workflow_id": WORKFLOW, "inputs": inputs | {"style_reference": made.file_id}}
    in_session = {"workflow_id": WORKFLOW, "inputs": inputs, "session_id": made.session_id}
    found: dict[Place, tuple[JsonObject, str | None]] = {
        ("get_status", "inference_id"): ({"inference_id": made.run_id}, "INFERENCE_NOT_FOUND"),
        ("get_workflow_status", "run_id"): (
            {"workflow_id": WORKFLOW, "run_id": made.workflow_run_id},
            "WORKFLOW_RUN_NOT_FOUND",
        ),
        ("list_runs", "batch_id"): ({"batch_id": made.batch_id}, None),
        ("list_runs", "inference_ids"): ({"inference_ids": [made.run_id]}, None),
        ("list_runs", "cursor"): ({"cursor": made.cursor}, None),
        ("save_outputs", "inference_id"): ({"inference_id": made.run_id}, "INFERENCE_NOT_FOUND"),
        ("save_outputs", "file_ids"): (
            {"inference_id": own_run_id, "file_ids": [made.file_id]},
            "INVALID_ARGUMENTS",
        ),
        ("estimate_workflow", "inputs"): (styled, "FILE_NOT_FOUND"),
        ("execute_workflow", "inputs"): (styled, "FILE_NOT_FOUND"),
        ("execute_workflow", "session_id"): (in_session, "SESSION_NOT_FOUND"),
    }
    for path, file in (("guidance_files[].file_id", guided), ("mask.file_id", masked)):
        found[("execute_inference", path)] = image | file, "FILE_NOT_FOUND"
        found[("estimate_price", path)] = image | file, "FILE_NOT_FOUND"
        batch = {"requests": [image | file]}
        found[("execute_batch", f"requests[].{path}")] = batch, "FILE_NOT_FOUND"
        batch = {"requests": [{"seed": 1}], "defaults": image | file}
        found[("execute_batch", f"defaults.{path}")] = batch, "FILE_NOT_FOUND"
    return found


async def make_everything(client: Client) -> Made:
    """Start runs of every kind, and return their IDs."""

    async def call(tool: str, **arguments: Any) -> JsonObject:
        result = await client.call_tool(tool, arguments)
        assert not result.is_error, text_of(result)
        return content_of(result)

    ended = await call("execute_inference", **SMALL_IMAGE, wait_seconds=30)
    batch = await call("execute_batch", requests=[SMALL_IMAGE | {"seed": 1}])
    await call("list_runs", batch_id=batch["batch_id"], wait_for="all", wait_seconds=30)
    inputs = {"prompt": "icons"}
    workflow = {"workflow_id": WORKFLOW, "inputs": inputs, "session_name": "fantasy"}
    icons = await call("execute_workflow", **workflow, wait_seconds=30)
    page = await call("list_runs", limit=1)
    return Made(
        ended["inference_id"],
        ended["outputs"][0]["file_id"],
        batch["batch_id"],
        icons["run_id"],
        icons["session_id"],
        page["next_cursor"],
    )


def outcome_of(result: CallToolResult) -> str | None:
    """Return the code of a refusal, None for a list without rows, or else "allowed"."""
    if result.is_error:
        return error_code(result)
    return None if content_of(result).get("runs") == [] else "allowed"


async def try_all(client: Client, made: Made, own_run_id: str) -> dict[Place, str | None]:
    tried = calls(made, own_run_id).items()
    return {
        place: outcome_of(await client.call_tool(place[0], arguments))
        for place, (arguments, _) in tried
    }


def refusals(made: Made) -> dict[Place, str | None]:
    return {place: code for place, (_, code) in calls(made, "").items()}


def paid_calls(sandbox: RunningSandbox) -> int:
    arrived = sandbox.state.arrived
    return arrived["execute_inference"] + arrived["execute_workflow"]


async def refuses_resources_and_tasks(client: Client, made: Made) -> None:
    for run_id in (made.run_id, made.workflow_run_id):
        with pytest.raises(MCPError, match="RUN_NOT_FOUND"):
            await client.read_resource(f"layer://runs/{run_id}")
        with pytest.raises(MCPError, match="Unknown task"):
            await get_task(client, run_id)
        for method in ("tasks/cancel", "tasks/update"):
            with pytest.raises(MCPError, match="Unknown task"):
                await tell_task(client, method, run_id)
    with pytest.raises(MCPError, match="OUTPUT_NOT_FOUND"):
        await client.read_resource(f"layer://outputs/{made.file_id}")


async def test_the_ids_of_one_caller_are_unknown_to_another(
    team: dict[str, str], sandbox: RunningSandbox
) -> None:
    with team_server(team, FOR_A_TEAM[1]) as server:
        async with server.connect("bob", extensions=(TakesTasks(),)) as bob:
            # An older run, to which a cursor of somebody else must not lead.
            own = content_of(await bob.call_tool("execute_inference", SMALL_IMAGE))
            async with server.connect("ann") as ann:
                made = await make_everything(ann)
                before = paid_calls(sandbox)
                tried = await try_all(bob, made, own["inference_id"])
                after = paid_calls(sandbox)
                await refuses_resources_and_tasks(bob, made)
                own_calls = await try_all(ann, made, made.run_id)
    assert tried == refusals(made)
    assert after == before
    assert own_calls == dict.fromkeys(own_calls, "allowed")


async def test_the_key_of_one_caller_does_not_know_the_ids_of_another(
    team: dict[str, str], sandbox: RunningSandbox
) -> None:
    keys = [sandbox.state.add_account(name).token or "" for name in ("Ann", "Bob")]
    with team_server(team | {"LAYER_WORKSPACE_ID": ""}, OWN_KEYS) as server:
        async with server.connect(X_API_Key=keys[1], extensions=(TakesTasks(),)) as bob:
            own = content_of(await bob.call_tool("execute_inference", SMALL_IMAGE))
            async with server.connect(X_Layer_Api_Key=keys[0]) as ann:
                made = await make_everything(ann)
            tried = await try_all(bob, made, own["inference_id"])
            await refuses_resources_and_tasks(bob, made)
    expected = refusals(made)
    for place in [place for place in expected if place[0] in LEFT_TO_LAYER]:
        del tried[place], expected[place]
    assert tried == expected


async def test_every_argument_that_takes_an_id_is_tried() -> None:
    made = Made("", "", "", "", "", "")
    places: set[Place] = set()
    for http in FOR_A_TEAM:
        tools = await create_server(Settings(toolsets=ALL_TOOLSETS), http=http).list_tools()
        places |= {(tool.name, path) for tool in tools for path in id_paths(tool.input_schema)}
    assert places - SHARED_PLACES == set(calls(made, ""))


async def test_every_resource_and_task_that_takes_an_id_is_tried() -> None:
    server = create_server(Settings())
    templates = {template.uri_template for template in await server.list_resource_templates()}
    tried = {"layer://runs/{inference_id}", "layer://outputs/{file_id}"}
    assert templates - SHARED_TEMPLATES == tried
    methods = {binding.method for binding in Tasks(RunTasks()).methods()}
    assert methods == {"tasks/get", "tasks/cancel", "tasks/update"}


def id_paths(schema: JsonObject, before: str = "") -> Iterator[str]:
    """Yield the paths of all arguments that can take an ID of something that isn't shared."""
    for name, value in schema.get("properties", {}).items():
        is_id = name.endswith(("_id", "_ids")) or name in ("cursor", "inputs")
        if is_id and name not in SHARED_NAMES:
            yield before + name
        yield from id_paths(value, f"{before}{name}.")
        yield from id_paths(value.get("items", {}), f"{before}{name}[].")
