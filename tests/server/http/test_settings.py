"""The settings of the HTTP server: what is accepted, and what would let strangers spend."""

import pytest

from layer_mcp.server.http.settings import HttpSettings, check_http_settings
from layer_mcp.settings import SettingsError

PUBLIC = {"LAYER_HTTP_HOST": "0.0.0.0", "LAYER_PUBLIC_URL": "https://mcp.example.com"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5"])
def test_another_address_than_loopback_needs_authentication(host: str) -> None:
    with pytest.raises(SettingsError, match="needs authentication"):
        check_http_settings(HttpSettings(host=host))


def test_a_public_url_needs_authentication_on_loopback_too() -> None:
    with pytest.raises(SettingsError, match="needs authentication"):
        check_http_settings(HttpSettings(public_url="https://mcp.example.com"))


def test_callers_who_pay_themselves_need_authentication_too() -> None:
    with pytest.raises(SettingsError, match="needs authentication"):
        check_http_settings(HttpSettings(host="0.0.0.0", payer="caller"))


@pytest.mark.parametrize(
    "http",
    [
        HttpSettings(),
        HttpSettings(host="0.0.0.0", tokens_file="tokens.toml"),
        HttpSettings(host="0.0.0.0", oauth_issuer="https://id.example.com"),
        HttpSettings(host="0.0.0.0", is_insecure=True),
    ],
    ids=["loopback", "tokens", "oauth", "insecure"],
)
def test_a_server_that_is_safe_or_insecure_in_so_many_words_starts(http: HttpSettings) -> None:
    check_http_settings(http)


def test_the_path_of_the_endpoint_is_removed_from_the_public_url() -> None:
    http = HttpSettings.from_env(PUBLIC | {"LAYER_PUBLIC_URL": "https://MCP.example.com/mcp/"})
    assert http.public_url == "https://mcp.example.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LAYER_PUBLIC_URL", "http://mcp.example.com"),
        ("LAYER_PUBLIC_URL", "https://mcp.example.com/deep"),
        ("LAYER_PUBLIC_URL", "https://user@mcp.example.com"),
        ("LAYER_PUBLIC_URL", "https://mcp.example.com:port"),
        ("LAYER_OAUTH_ISSUER", "http://id.example.com"),
        ("LAYER_OAUTH_ISSUER", "id.example.com"),
        ("LAYER_SERVER_KEYS", "short"),
        ("LAYER_PAYER", "nobody"),
    ],
)
def test_an_invalid_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        HttpSettings.from_env({name: value})


def test_secrets_are_not_shown() -> None:
    http = HttpSettings.from_env({"LAYER_SERVER_KEYS": "k" * 40})
    assert "kkkk" not in repr(http)
