"""Lists of models and workflows: filters are keywords, and pages are read as they are needed."""

from dataclasses import replace

import pytest

from layer_mcp import InvalidRequestError, LayerClient
from layer_mcp.api.models import (
    ModelFilters,
    ModelList,
    ModelQuery,
    Pages,
    WorkflowFilters,
    WorkflowQuery,
)
from layer_mcp.sandbox import RunningSandbox

pytestmark = pytest.mark.anyio

MANY = 45


@pytest.fixture(autouse=True)
def many_models(sandbox: RunningSandbox) -> None:
    image = sandbox.state.models[0]
    sandbox.state.models = tuple(
        replace(image, model_id=f"00000000-0000-4000-9000-{number:012}") for number in range(MANY)
    )


async def test_awaiting_a_list_reads_one_page(layer: LayerClient, sandbox: RunningSandbox) -> None:
    page = await layer.list_models(modality="image", limit=20)
    assert len(page.models) == 20
    following = await layer.list_models(modality="image", limit=20, cursor=page.next_cursor)
    assert following.models[0].model_id != page.models[0].model_id
    assert sandbox.state.arrived["list_models"] == 2


async def test_iterating_over_a_list_reads_every_page(
    layer: LayerClient, sandbox: RunningSandbox
) -> None:
    found = [model.model_id async for model in layer.list_models(limit=20)]
    assert found == [model.model_id for model in sandbox.state.models]
    assert sandbox.state.arrived["list_models"] == 3


async def test_does_not_read_unneeded_pages(layer: LayerClient, sandbox: RunningSandbox) -> None:
    async for _ in layer.list_models(limit=20):
        break
    assert sandbox.state.arrived["list_models"] == 1


async def test_a_page_that_names_itself_as_the_next_one_ends_the_list() -> None:
    async def read(_cursor: str | None) -> ModelList:
        pagination = {"next_cursor": "same", "has_more_results": True}
        return ModelList.model_validate({"models": [{"model_id": "m"}], "pagination": pagination})

    pages = Pages(read, lambda page: page.models, "same")
    assert [model.model_id async for model in pages] == ["m"]


async def test_filters_as_keywords_add_to_those_of_a_query(layer: LayerClient) -> None:
    page = await layer.list_models(ModelQuery(modality="image"), limit=3)
    assert len(page.models) == 3
    assert (await layer.list_models(ModelQuery(modality="image"), modality="video")).models == []


async def test_rejects_an_unknown_filter(layer: LayerClient, sandbox: RunningSandbox) -> None:
    with pytest.raises(InvalidRequestError, match='did you mean "modality"'):
        await layer.list_models(modalty="image")  # pyright: ignore[reportCallIssue]
    with pytest.raises(InvalidRequestError, match="limit"):
        await layer.list_models(limit=1_000)
    assert sandbox.state.arrived["list_models"] == 0


def test_every_filter_is_a_keyword() -> None:
    assert ModelFilters.__annotations__.keys() == ModelQuery.model_fields.keys()
    assert WorkflowFilters.__annotations__.keys() == WorkflowQuery.model_fields.keys()
