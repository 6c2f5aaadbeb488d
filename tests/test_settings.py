"""Settings from the environment."""

import pytest

from layer_mcp import Settings, SettingsError


def test_without_environment_the_public_api_is_used_and_nothing_is_set() -> None:
    settings = Settings.from_env({})
    assert settings.api_url == "https://api.app.layer.ai/api"
    assert (settings.api_token, settings.workspace, settings.sandbox) == (None, None, False)
    assert settings.max_wait_seconds == 45


@pytest.mark.parametrize("name", ["LAYER_API_KEY", "LAYER_API_TOKEN", "LAYER_TOKEN"])
def test_the_token_has_three_names(name: str) -> None:
    assert Settings.from_env({name: "pat_1\n"}).api_token == "pat_1"


@pytest.mark.parametrize("name", ["LAYER_WORKSPACE_ID", "LAYER_WORKSPACE"])
def test_the_workspace_has_two_names(name: str) -> None:
    assert Settings.from_env({name: "my-team"}).workspace == "my-team"


@pytest.mark.parametrize("empty", ["", "  ", "${user_config.api_key}", "${LAYER_API_KEY}"])
def test_an_empty_or_unsubstituted_value_is_unset_and_the_next_name_counts(empty: str) -> None:
    settings = Settings.from_env({"LAYER_API_KEY": empty, "LAYER_TOKEN": "pat_2"})
    assert settings.api_token == "pat_2"


@pytest.mark.parametrize(
    "url",
    [
        "https://x.test/api",
        "https://x.test/api/",
        "https://x.test/api/v1",
        "https://x.test/api/v1/",
    ],
)
def test_the_address_may_end_in_a_slash_or_v1(url: str) -> None:
    assert Settings.from_env({"LAYER_API_URL": url}).api_url == "https://x.test/api"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/api", "http://localhost/api", "http://[::1]/a"]
)
def test_plain_http_is_for_this_machine(url: str) -> None:
    assert Settings.from_env({"LAYER_API_URL": url}).api_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LAYER_API_URL", "http://layer.test/api"),
        ("LAYER_API_URL", "http://127.0.0.1.evil.test/api"),
        ("LAYER_API_URL", "ftp://x.test"),
        ("LAYER_API_URL", "layer"),
        ("LAYER_API_URL", "https://exa mple.com"),
        ("LAYER_API_URL", "https://ex☃mple.com/api"),
        ("LAYER_API_URL", "https://x.test/a\x7fpi"),
        ("LAYER_API_URL", "https://user:pw@x.test/api"),
        ("LAYER_API_URL", "https://x.test:99999/api"),
        ("LAYER_API_KEY", "two words"),
        ("LAYER_API_KEY", "pat_1\r\nX-Evil: 1"),
        ("LAYER_API_KEY", "pät"),
        ("LAYER_SANDBOX", "maybe"),
        ("LAYER_MAX_WAIT_SECONDS", "-1"),
        ("LAYER_MAX_WAIT_SECONDS", "1e3"),
        ("LAYER_MAX_WAIT_SECONDS", "99999"),
        ("LAYER_MAX_WAIT_SECONDS", "9" * 5000),
        ("LAYER_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name_and_not_shown(
    name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.from_env({name: value})
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "on"), [("1", True), ("TRUE", True), ("false", False), ("0", False)]
)
def test_the_sandbox_switch_takes_words(word: str, on: bool) -> None:
    assert Settings.from_env({"LAYER_SANDBOX": word}).sandbox is on


def test_the_token_is_not_in_the_repr() -> None:
    assert "pat_1" not in repr(Settings(api_token="pat_1"))
