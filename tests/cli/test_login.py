"""layer-mcp login and logout as a person runs them, in a home folder with a keyring."""

import os
from pathlib import Path

import pytest

from layer_mcp.sandbox import RunningSandbox

from ..support.client_home import ClientHome, make_keyring_home
from ..support.hosts import SCRIPT
from ..support.terminal import terminal

pytestmark = pytest.mark.process


@pytest.fixture
def home(tmp_path: Path, sandbox: RunningSandbox) -> ClientHome:
    return make_keyring_home(tmp_path, sandbox.api_url)


def test_login_checks_a_piped_token_and_stores_it_for_the_api(
    home: ClientHome, sandbox: RunningSandbox
) -> None:
    printed = home.run_ok("login", piped=f" {sandbox.token}\r\n")
    assert "Workspaces: Sandbox" in printed
    assert home.keyring_content() == {f"layer-mcp {sandbox.api_url}": sandbox.token}


def test_login_shows_workspaces_without_control_characters(
    home: ClientHome, sandbox: RunningSandbox
) -> None:
    sandbox.state.workspaces[0].name = "Potions\x1b]0;x\x07"
    assert "Workspaces: Potions]0;x." in home.run_ok("login", piped=sandbox.token)


def test_login_uses_the_token_in_the_environment_when_nothing_is_piped(
    home: ClientHome, sandbox: RunningSandbox
) -> None:
    home.run_ok("login", LAYER_TOKEN=sandbox.token)
    assert list(home.keyring_content().values()) == [sandbox.token]


def test_login_does_not_store_a_token_that_layer_refuses(home: ClientHome) -> None:
    said = home.run_failing("login", piped="pat_wrong_token")
    assert "Nothing was stored" in said
    assert "pat_wrong_token" not in said
    assert home.keyring_content() == {}


def test_login_with_a_token_of_another_service_sends_no_request(
    home: ClientHome, sandbox: RunningSandbox
) -> None:
    assert "OpenAI" in home.run_failing("login", piped="sk-hush")
    assert sandbox.state.arrived.total() == 0


def test_login_does_not_repeat_a_token_that_is_given_as_an_argument(home: ClientHome) -> None:
    said = home.run_failing("login", "pat_hush")
    assert "Don't pass the token as an argument" in said
    assert "hush" not in said


def test_login_without_a_network_stores_a_token_only_unchecked(home: ClientHome) -> None:
    nowhere = {"LAYER_API_URL": "http://127.0.0.1:9/api"}
    said = home.run_failing("login", piped="pat_1", **nowhere)
    assert "--no-check" in said
    assert home.keyring_content() == {}
    home.run_ok("login", "--no-check", piped="pat_1", **nowhere)
    assert home.keyring_content() == {"layer-mcp http://127.0.0.1:9/api": "pat_1"}


def test_login_without_a_token_says_how_to_give_one(home: ClientHome) -> None:
    assert "pipe the token" in home.run_failing("login")


def test_login_without_a_keyring_says_what_to_do_instead(tmp_path: Path) -> None:
    said = ClientHome(tmp_path).run_failing("login", piped="pat_1")
    assert "no keyring" in said
    assert "layer-mcp install" in said


def test_login_rejects_a_token_of_another_service_without_a_keyring_too(tmp_path: Path) -> None:
    assert "OpenAI" in ClientHome(tmp_path).run_failing("login", piped="sk-hush")


def test_login_reports_a_failing_keyring_without_its_message(
    home: ClientHome, sandbox: RunningSandbox
) -> None:
    home.break_keyring("broken")
    said = home.run("login", piped=sandbox.token).stderr
    assert "keyring failed: RuntimeError" in said
    assert "a secret in a message" not in said


@pytest.mark.slow
def test_logout_deletes_the_token_and_says_when_there_was_none(
    home: ClientHome, sandbox: RunningSandbox
) -> None:
    home.run_ok("login", piped=sandbox.token)
    assert home.run_ok("logout") == "Removed the stored token.\n"
    assert home.keyring_content() == {}
    assert home.run_ok("logout") == "No token was stored.\n"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there are no ptys")
def test_asks_again_at_a_terminal_for_text_that_is_not_a_token(home: ClientHome) -> None:
    asked = terminal(answers={b"input is hidden): ": b"you@example.com\n"})
    seen = asked.run([SCRIPT, "login"], home.folder, {"TERM": "xterm", **home.environment()})
    assert seen.exit_code == 1
    assert seen.text.count("an email address") == 3
    assert "Nothing was stored." in seen.text
