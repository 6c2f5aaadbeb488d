"""The token: what it looks like, where it is kept, and how the server comes to it."""

import json
import threading
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult

from layer_mcp import Settings
from layer_mcp.credentials import StoredToken, token_source
from layer_mcp.sandbox import RunningSandbox
from layer_mcp.token_text import TokenTextError, token_of

from .support.client_home import AttachHome
from .support.hosts import SCRIPT, content_of, error_code, text_of


@pytest.fixture
def home(tmp_path: Path, sandbox: RunningSandbox) -> AttachHome:
    """A home with a keyring, whose API is the sandbox."""
    (tmp_path / "home").mkdir()
    (tmp_path / "keys").mkdir()
    extra = {"LAYER_API_URL": sandbox.api_url}
    return AttachHome(tmp_path / "home", tmp_path / "keys" / "keyring.json", extra)


def kept(home: AttachHome) -> dict[str, str]:
    """What the keyring holds."""
    assert home.keyring is not None
    return json.loads(home.keyring.read_text()) if home.keyring.exists() else {}


def fault(home: AttachHome, name: str) -> None:
    assert home.keyring is not None
    home.keyring.with_name(name).touch()


@pytest.mark.parametrize(
    "pasted", ["pat_1", "pat_1\n", " \tpat_1\r\n", '"pat_1"', "Bearer pat_1", "\n'pat_1'\n"]
)
def test_blanks_line_ends_and_quotes_around_a_token_are_taken_off(pasted: str) -> None:
    assert token_of(pasted) == "pat_1"


@pytest.mark.parametrize(
    ("pasted", "kind"),
    [
        ("", "an empty text"),
        (" \n", "an empty text"),
        ("sk-proj-hush", "OpenAI"),
        ("sk-ant-hush", "Anthropic"),
        ("ghp_hush", "GitHub"),
        ("AIzahush", "Google"),
        ("https://app.layer.ai/hush", "an address"),
        ("pat_hush hush", "more than one word"),
        ("pat_hush\nhush", "more than one word"),
        ("${HUSH}", "variable"),
        ("pät_hush", "characters"),
        ("pat_hush\x07", "characters"),
        ("hush" * 10_000, "characters"),
    ],
)
def test_a_token_of_the_wrong_kind_is_told_by_its_kind_and_not_shown(
    pasted: str, kind: str
) -> None:
    with pytest.raises(TokenTextError, match=kind) as caught:
        token_of(pasted)
    assert "hush" not in str(caught.value).lower()


def test_a_token_of_the_environment_goes_before_the_keyring() -> None:
    assert token_source(Settings(api_token="pat_env"))() == "pat_env"


def test_a_simulated_layer_takes_nothing_from_the_keyring() -> None:
    assert token_source(Settings(sandbox=True))() is None


def test_a_keyring_is_read_once_when_it_has_a_token() -> None:
    answers = iter(["pat_1"])
    stored = StoredToken(lambda: next(answers))
    assert (stored(), stored()) == ("pat_1", "pat_1")


def test_a_token_that_is_stored_later_is_found_by_the_next_call() -> None:
    answers = iter([None, "pat_1"])
    stored = StoredToken(lambda: next(answers))
    assert (stored(), stored()) == (None, "pat_1")


def test_a_locked_keyring_counts_as_empty_until_it_is_opened() -> None:
    opened = threading.Event()

    def read() -> str:
        opened.wait()
        return "pat_1"

    stored = StoredToken(read, seconds=0.01)
    assert stored() is None
    opened.set()
    # The keyring's thread answers at some moment of these ten seconds.
    assert next(found for found in (stored() for _ in range(1000)) if found) == "pat_1"


def test_a_keyring_that_fails_counts_as_empty_and_its_words_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> str:
        raise RuntimeError("hush")

    assert StoredToken(fail)() is None
    assert "RuntimeError" in caplog.text
    assert "hush" not in caplog.text


def test_login_checks_a_piped_token_and_stores_it_for_the_api(
    home: AttachHome, sandbox: RunningSandbox
) -> None:
    printed = home.done("login", piped=f" {sandbox.token}\r\n")
    assert "Workspaces: Sandbox" in printed
    assert kept(home) == {f"layer-mcp {sandbox.api_url}": sandbox.token}


def test_login_shows_no_name_that_would_drive_a_terminal(
    home: AttachHome, sandbox: RunningSandbox
) -> None:
    sandbox.state.workspaces[0].name = "Potions\x1b]0;x\x07"
    assert "Workspaces: Potions]0;x." in home.done("login", piped=sandbox.token)


def test_login_takes_the_token_of_the_environment_when_nothing_is_piped(
    home: AttachHome, sandbox: RunningSandbox
) -> None:
    home.done("login", LAYER_TOKEN=sandbox.token)
    assert list(kept(home).values()) == [sandbox.token]


def test_login_stores_nothing_that_layer_refuses(home: AttachHome) -> None:
    said = home.failed("login", piped="pat_wrong_token")
    assert "Nothing was stored" in said
    assert "pat_wrong_token" not in said
    assert kept(home) == {}


def test_login_of_the_wrong_kind_asks_layer_nothing(
    home: AttachHome, sandbox: RunningSandbox
) -> None:
    assert "OpenAI" in home.failed("login", piped="sk-hush")
    assert sandbox.state.arrived.total() == 0


def test_login_does_not_repeat_a_token_that_is_given_as_an_argument(home: AttachHome) -> None:
    said = home.failed("login", "pat_hush")
    assert "not taken as an argument" in said
    assert "hush" not in said


def test_login_without_network_stores_nothing_unless_told_to(home: AttachHome) -> None:
    nowhere = {"LAYER_API_URL": "http://127.0.0.1:9/api"}
    said = home.failed("login", piped="pat_1", **nowhere)
    assert "--no-check" in said
    assert kept(home) == {}
    home.done("login", "--no-check", piped="pat_1", **nowhere)
    assert kept(home) == {"layer-mcp http://127.0.0.1:9/api": "pat_1"}


def test_login_without_a_token_says_how_to_give_one(home: AttachHome) -> None:
    assert "pipe the token" in home.failed("login")


def test_login_without_a_keyring_says_what_to_do_instead(tmp_path: Path) -> None:
    said = AttachHome(tmp_path).failed("login", piped="pat_1")
    assert "no keyring" in said
    assert "layer-mcp install" in said


def test_login_says_that_a_key_is_of_the_wrong_kind_without_a_keyring_too(tmp_path: Path) -> None:
    assert "OpenAI" in AttachHome(tmp_path).failed("login", piped="sk-hush")


def test_login_with_a_keyring_that_fails_says_so_and_not_why_in_its_words(
    home: AttachHome, sandbox: RunningSandbox
) -> None:
    fault(home, "broken")
    said = home.run("login", piped=sandbox.token).stderr
    assert "keyring failed: RuntimeError" in said
    assert "a secret in a message" not in said


def test_logout_forgets_the_token_and_says_when_there_was_none(
    home: AttachHome, sandbox: RunningSandbox
) -> None:
    home.done("login", piped=sandbox.token)
    assert home.done("logout") == "The token is no longer stored.\n"
    assert kept(home) == {}
    assert home.done("logout") == "No token was stored.\n"


def call(home: AttachHome, **environment: str) -> CallToolResult:
    """list_workspaces of a server that is started in this home."""
    child = StdioServerParameters(command=SCRIPT, env=home.environment() | environment)

    async def called() -> CallToolResult:
        async with Client(child) as client:
            return await client.call_tool("list_workspaces", {})

    return anyio.run(called)


def test_the_server_takes_the_stored_token(home: AttachHome, sandbox: RunningSandbox) -> None:
    home.done("login", piped=sandbox.token)
    assert content_of(call(home))["workspaces"][0]["name"] == "Sandbox"


def test_a_token_stored_for_one_layer_is_not_sent_to_another(
    home: AttachHome, sandbox: RunningSandbox
) -> None:
    home.done("login", piped=sandbox.token)
    result = call(home, LAYER_API_URL="http://127.0.0.1:9/api")
    assert error_code(result) == "MISSING_TOKEN"


@pytest.mark.parametrize("name", ["broken", "locked"])
def test_a_keyring_that_gives_nothing_is_a_missing_token_with_login_as_the_next_step(
    home: AttachHome, name: str
) -> None:
    fault(home, name)
    result = call(home)
    assert error_code(result) == "MISSING_TOKEN"
    assert "layer-mcp login" in text_of(result)


def test_listing_the_tools_does_not_load_the_keyring(home: AttachHome) -> None:
    fault(home, "locked")
    child = StdioServerParameters(command=SCRIPT, env=home.environment())

    async def listed() -> int:
        async with Client(child) as client:
            return len((await client.list_tools()).tools)

    assert anyio.run(listed) == 10
