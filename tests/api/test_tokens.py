"""A token is checked where it is used, so it doesn't matter where it comes from."""

import logging
from collections.abc import Iterator

import pytest

from layer_mcp import LayerClient, LayerError, Settings
from layer_mcp.credentials import StoredToken

from ..support.stub_layer import TOKEN, Reply, StubLayer, stub_layer

pytestmark = pytest.mark.anyio

SECRET = "pat_hush-hush-hush"
PASTED = [f'"{TOKEN}"', f" '{TOKEN}'\r\n", f"Bearer {TOKEN}\n", f'"Bearer {TOKEN}"', f'" {TOKEN} "']
UNUSABLE = [
    f"{SECRET}\n{SECRET}",
    f"{SECRET}\r\nX-Other: 1",
    f"{SECRET}\0",
    f"\0{SECRET}",
    f"{SECRET} {SECRET}",
    f"{SECRET}\u202e",
    f"sk-{SECRET}",
    f"https://{SECRET}",
    f"${SECRET}",
    SECRET * 1000,
    '""',
]


@pytest.fixture
def stub() -> Iterator[StubLayer]:
    with stub_layer() as server:
        server.answers["/workspaces"] = Reply({"workspaces": []})
        yield server


@pytest.mark.parametrize("is_stored", [False, True], ids=["argument", "keyring"])
@pytest.mark.parametrize("pasted", PASTED)
async def test_does_not_send_text_pasted_with_a_token(
    pasted: str, is_stored: bool, stub: StubLayer
) -> None:
    token = StoredToken(lambda: pasted) if is_stored else pasted
    async with LayerClient(token, api_url=stub.address) as layer:
        assert await layer.list_workspaces() == []
    assert [request.headers["authorization"] for request in stub.requests] == [f"Bearer {TOKEN}"]


@pytest.mark.parametrize("is_stored", [False, True], ids=["argument", "keyring"])
@pytest.mark.parametrize("unusable", UNUSABLE)
async def test_text_that_is_not_a_token_is_never_sent_logged_or_shown(
    unusable: str, is_stored: bool, stub: StubLayer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = StoredToken(lambda: unusable) if is_stored else unusable
    async with LayerClient(token, api_url=stub.address) as layer:
        with pytest.raises(LayerError, match="UNAUTHENTICATED") as caught:
            await layer.list_workspaces()
    assert stub.requests == []
    assert "hush" not in caplog.text + repr(caught.value) + str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("pasted", PASTED)
def test_a_token_in_the_environment_is_tidied(pasted: str) -> None:
    assert Settings.from_env({"LAYER_API_KEY": pasted}).api_token == TOKEN
