"""The token: which texts can be one, where it's stored, and how the server gets it."""

import threading
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult

from layer_mcp import Settings
from layer_mcp.credentials import StoredToken, token_source
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.tokens import InvalidTokenError, parse_token

from .support.client_home import ClientHome, make_keyring_home
from .support.hosts import SCRIPT, content_of, error_code, text_of


@pytest.fixture
def home(tmp_path: Path, sandbox: RunningSandbox) -> ClientHome:
    return make_keyring_home(tmp_path, sandbox.api_url)


@pytest.mark.parametrize(
    "pasted", ["pat_1", "pat_1\n", " \tpat_1\r\n", '"pat_1"', "Bearer pat_1", "\n'pat_1'\n"]
)
def test_spaces_line_ends_and_quotes_around_a_token_are_removed(pasted: str) -> None:
    assert parse_token(pasted) == "pat_1"


@pytest.mark.parametrize(
    ("pasted", "kind"),
    [
        ("", "empty text"),
        (" \n", "empty text"),
        ("sk-proj-hush", "OpenAI"),
        ("sk-ant-hush", "Anthropic"),
        ("ghp_hush", "GitHub"),
        ("AIzahush", "Google"),
        ("https://app.layer.ai/hush", "a URL"),
        ("pat_hush hush", "more than one word"),
        ("pat_hush\nhush", "more than one word"),
        ("${HUSH}", "variable"),
        ("pät_hush", "characters"),
        ("pat_hush\x07", "characters"),
        ("hush" * 10_000, "characters"),
    ],
)
def test_describes_text_that_is_not_a_token_without_showing_it(pasted: str, kind: str) -> None:
    with pytest.raises(InvalidTokenError, match=kind) as caught:
        parse_token(pasted)
    assert "hush" not in str(caught.value).lower()


@pytest.mark.parametrize(
    "pasted",
    [
        "bearer pat_1",
        "Authorization: Bearer pat_1",
        "'Authorization: Bearer pat_1'",
        "LAYER_API_KEY=pat_1",
        'export LAYER_API_KEY="pat_1"',
        "$env:LAYER_API_KEY = 'pat_1'",
        "`pat_1`",
    ],
)
def test_a_header_or_a_variable_around_a_token_is_removed(pasted: str) -> None:
    assert parse_token(pasted) == "pat_1"


@pytest.mark.parametrize(
    ("pasted", "kind"),
    [("00000000-0000-4000-8000-0000000000aa", "an ID"), ("you@example.com", "an email address")],
)
def test_an_id_or_an_email_address_is_not_a_token(pasted: str, kind: str) -> None:
    with pytest.raises(InvalidTokenError, match=kind):
        parse_token(pasted)


def test_a_token_in_the_environment_takes_precedence_over_the_keyring() -> None:
    assert token_source(Settings(api_token="pat_env"))() == "pat_env"


def test_a_simulated_layer_does_not_use_the_keyring() -> None:
    assert token_source(Settings(sandbox=True))() is None


def test_a_keyring_with_a_token_is_read_once() -> None:
    answers = iter(["pat_1"])
    stored = StoredToken(lambda: next(answers))
    assert (stored(), stored()) == ("pat_1", "pat_1")


def test_the_next_read_finds_a_token_stored_later() -> None:
    answers = iter([None, "pat_1"])
    stored = StoredToken(lambda: next(answers))
    assert (stored(), stored()) == (None, "pat_1")


def test_a_locked_keyring_counts_as_empty_until_it_is_unlocked() -> None:
    opened = threading.Event()

    def read() -> str:
        opened.wait()
        return "pat_1"

    stored = StoredToken(read, seconds=0.01)
    assert stored() is None
    opened.set()
    # The keyring's thread answers at some moment of these ten seconds.
    assert next(found for found in (stored() for _ in range(1000)) if found) == "pat_1"


def test_a_failing_keyring_counts_as_empty_and_its_message_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> str:
        raise RuntimeError("hush")

    assert StoredToken(fail)() is None
    assert "RuntimeError" in caplog.text
    assert "hush" not in caplog.text


def call(home: ClientHome, **environment: str) -> CallToolResult:
    """list_workspaces of a server that is started in this home."""
    child = StdioServerParameters(command=SCRIPT, env=home.environment() | environment)

    async def called() -> CallToolResult:
        async with Client(child) as client:
            return await client.call_tool("list_workspaces", {})

    return anyio.run(called)


@pytest.mark.process
def test_the_server_uses_the_stored_token(home: ClientHome, sandbox: RunningSandbox) -> None:
    home.run_ok("login", piped=sandbox.token)
    assert content_of(call(home))["workspaces"][0]["name"] == "Sandbox"


@pytest.mark.slow
@pytest.mark.process
def test_a_token_stored_for_one_layer_is_not_sent_to_another(
    home: ClientHome, sandbox: RunningSandbox
) -> None:
    home.run_ok("login", piped=sandbox.token)
    result = call(home, LAYER_API_URL="http://127.0.0.1:9/api")
    assert error_code(result) == "MISSING_TOKEN"


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("name", ["broken", "locked"])
def test_a_faulty_keyring_is_a_missing_token_with_login_as_the_next_step(
    home: ClientHome, name: str
) -> None:
    home.break_keyring(name)
    result = call(home)
    assert error_code(result) == "MISSING_TOKEN"
    assert "layer-mcp login" in text_of(result)


@pytest.mark.process
def test_listing_the_tools_does_not_load_the_keyring(home: ClientHome) -> None:
    home.break_keyring("locked")
    child = StdioServerParameters(command=SCRIPT, env=home.environment())

    async def listed() -> int:
        async with Client(child) as client:
            return len((await client.list_tools()).tools)

    assert anyio.run(listed) == 10
