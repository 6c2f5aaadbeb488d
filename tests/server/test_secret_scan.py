"""A token that hosts repeat never appears in answers, logs, the journal, records, or spans."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp.client import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitRequestParams, ElicitResult

from ..support.echoing_layer import MODEL_ID, calls, echo_everywhere, texts_in
from ..support.hosts import MEMORY
from ..support.recorded_spans import recorded_spans
from ..support.sandbox_calls import png
from ..support.secret_forms import FORMS, traces
from ..support.stub_layer import StubLayer, stub_layer

pytestmark = pytest.mark.anyio

TOKEN = "pat_Zq7/hK+2mXw9=vB4_nT-8rLc6yEd1"
# Of the others each takes as long.
QUICK_FORMS = ("unicode escapes", "double percent", "base64 of the header")
# The server logs nothing of these below WARNING: they log headers and signed addresses.
HTTP_LOGGERS = ("httpx", "httpcore")


@pytest.fixture
def stub() -> Iterator[StubLayer]:
    with stub_layer() as server:
        yield server


def file_texts(folder: Path) -> Iterator[str]:
    """Yield the content of every file, also as it is without the escapes of JSON."""
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes().decode("latin-1")
            yield content
            yield content.replace("\\\\", "\\").replace("\\/", "/")


@pytest.mark.parametrize(
    "form",
    [pytest.param(form, marks=() if form in QUICK_FORMS else pytest.mark.slow) for form in FORMS],
)
async def test_a_token_that_hosts_repeat_is_never_shown_or_stored(
    form: str, stub: StubLayer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo_everywhere(stub, FORMS[form](TOKEN))
    picture, outputs = tmp_path / "in" / "red.png", tmp_path / "out"
    picture.parent.mkdir()
    picture.write_bytes(png("red"))
    settings = stub.environment(
        tmp_path,
        LAYER_API_KEY=TOKEN,
        LAYER_TOOLSETS="all",
        LAYER_OUTPUT_DIR=str(outputs),
        LAYER_INPUT_DIRS=str(picture.parent),
        LAYER_CONFIRM_ABOVE="0",
        LAYER_PREVIEW="1",
    )
    found: list[str] = []

    async def approve(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        found.append(params.message)
        return ElicitResult(action="accept", content={"approve": True})

    with recorded_spans() as spans:
        async with MEMORY.connect(settings, elicitation_callback=approve) as client:
            for tool, arguments in calls(picture):
                result = await client.call_tool(tool, arguments)
                found += texts_in(result.model_dump(mode="json"))
            for uri in ("layer://runs", "layer://workspaces", f"layer://models/{MODEL_ID}"):
                try:
                    read = await client.read_resource(uri)
                    found += texts_in(read.model_dump(mode="json"))
                except MCPError as error:
                    found.append(str(error))
        found += [spans.text(), spans.text().replace("\\\\", "\\")]
    found += [
        record.getMessage() for record in caplog.records if not record.name.startswith(HTTP_LOGGERS)
    ]
    found += file_texts(tmp_path)
    assert any("[token]" in text for text in found)
    assert list(outputs.rglob("*.json"))
    shown = [(trace, text) for text in found for trace in traces(TOKEN) if trace in text.lower()]
    assert shown == []
