"""A wrong call of a program is a LayerError too, and nothing is sent for it."""

import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from layer_mcp import InvalidRequestError, LayerClient, NotFoundError
from layer_mcp.sandbox import RunningSandbox

from ..support.hosts import IMAGE_MODEL

pytestmark = pytest.mark.anyio

Call = Callable[[Any], Awaitable[object]]
CALLS: dict[str, Call] = {
    "an id that is no text": lambda layer: layer.get_model(7),
    "no id": lambda layer: layer.get_inference(None),
    "a workspace that is no text": lambda layer: layer.get_workspace(7),
    "a dict as a request": lambda layer: layer.execute_inference({"model_id": IMAGE_MODEL}),
    "a dict to price": lambda layer: layer.estimate_price({"model_id": IMAGE_MODEL}),
    "text as a query": lambda layer: layer.list_models("image"),
    "text as a time": lambda layer: layer.wait(IMAGE_MODEL, "soon"),
    "bytes of a file": lambda layer: layer.upload_file(io.BytesIO(b"")),
    "a URL that is no text": lambda layer: layer.download(None, io.BytesIO()),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_wrong_call_is_refused_before_anything_is_sent(
    call: Call, layer: LayerClient, sandbox: RunningSandbox
) -> None:
    with pytest.raises(InvalidRequestError, match="must be"):
        await call(layer)
    assert not sandbox.state.arrived


async def test_a_file_that_does_not_exist_is_named(layer: LayerClient) -> None:
    with pytest.raises(NotFoundError, match=r"missing\.png"):
        await layer.upload_file("missing.png")


async def test_a_file_may_be_named_by_text(
    layer: LayerClient, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(Path("docs/demo.png").read_bytes())
    file_id = await layer.upload_file(str(path))
    assert sandbox.state.files[file_id].name == "a.png"


async def test_a_client_can_be_closed_without_a_block(sandbox: RunningSandbox) -> None:
    layer = LayerClient(sandbox.token, api_url=sandbox.api_url)
    await layer.list_workspaces()
    await layer.aclose()
    await layer.aclose()
