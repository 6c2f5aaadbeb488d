"""Which addresses files may come from and go to."""

import pytest

from layer_mcp import LayerError
from layer_mcp.api.host_rules import HostRules, host_rules, may_connect, parse_media_url
from layer_mcp.api.host_rules import parse_storage_url as to_storage
from layer_mcp.errors import ERROR_CODES

RULES = host_rules("https://api.layer.test/api", ["cdn.layer.test"])
LOCAL_RULES = host_rules("http://127.0.0.1:1/api")


def refusal(url: str, rules: HostRules = RULES) -> LayerError:
    with pytest.raises(LayerError) as caught:
        parse_media_url(url, rules)
    return caught.value


@pytest.mark.parametrize("host", ["media.app.layer.ai", "api.layer.test", "cdn.layer.test"])
def test_outputs_come_from_layer_the_api_host_and_the_configured_hosts(host: str) -> None:
    assert parse_media_url(f"https://{host}/a.png", RULES).hostname == host


def test_a_configured_host_matches_in_any_case() -> None:
    rules = host_rules("https://api.layer.test/api", ["Media.X.Test"])
    assert parse_media_url("https://media.x.test/a.png", rules).hostname


@pytest.mark.parametrize("host", ["cdn.example.test", "8.8.8.8"])
def test_the_setting_is_named_for_a_host_that_could_be_allowed(host: str) -> None:
    assert "LAYER_MEDIA_HOSTS" in refusal(f"https://{host}/a.png").next_step


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/a.png",
        "https://127.0.0.1/a.png",
        "https://localhost/a.png",
        "https://[::1]/a.png",
        "https://169.254.169.254/a.png",
        "http://cdn.layer.test/a.png",
        "https://me@cdn.layer.test/a.png",
        "https://[::1",
    ],
)
def test_the_setting_is_not_named_where_it_would_not_help(url: str) -> None:
    assert "LAYER_MEDIA_HOSTS" not in refusal(url).next_step


def test_a_host_matches_in_any_case() -> None:
    assert parse_media_url("HTTPS://Media.App.Layer.AI/a.png", RULES).hostname


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "media.app.layer.ai.evil.test",
        "evil-media.app.layer.ai",
        "x.media.app.layer.ai",
        "media.app.layer.ai.",
        "127.0.0.1",
        "localhost",
        "[::1]",
        "10.0.0.1",
        "169.254.169.254",
        "2130706433",
        "0x7f.1",
    ],
)
def test_rejects_outputs_from_other_hosts(host: str) -> None:
    error = refusal(f"https://{host}/a.png")
    assert error.code == "HOST_NOT_ALLOWED"
    assert "not one of Layer's hosts" in error.message


@pytest.mark.parametrize(
    "url",
    [
        "http://media.app.layer.ai/a.png",
        "ftp://media.app.layer.ai/a.png",
        "file:///etc/passwd",
        "//media.app.layer.ai/a.png",
        "/a.png",
        "",
        "https:///a.png",
        "https://user@media.app.layer.ai/a.png",
        "https://user:pw@media.app.layer.ai/a.png",
        "https://@media.app.layer.ai/a.png",
        "https://evil.test\\@media.app.layer.ai/a.png",
        "https://media.app.layer.ai:99999/a.png",
        "https://[::1/a.png",
        "https://media.app.layer.ai/a b.png",
        "https://media.app.layer.ai/a\r\nX: y",
        "https://media.app.layer.ai\x00.evil.test/",
        "https://mediа.app.layer.ai/a.png",  # noqa: RUF001  (a Cyrillic letter)
    ],
)
def test_an_address_that_is_not_plain_https_is_refused_in_one_sentence(url: str) -> None:
    error = refusal(url)
    assert error.code == "HOST_NOT_ALLOWED"
    assert error.message.endswith("Nothing was sent to it.")
    assert "\n" not in error.message


def test_a_refusal_does_not_repeat_a_password() -> None:
    assert "pw" not in str(refusal("https://user:pw@evil.test/"))


def test_a_refusal_shows_a_long_host_in_part_only() -> None:
    assert len(refusal(f"https://{'a' * 5000}.test/").message) < 200


def test_a_refusal_names_the_setting() -> None:
    assert "LAYER_MEDIA_HOSTS" in ERROR_CODES["HOST_NOT_ALLOWED"].next_step
    assert refusal("https://evil.test/").next_step == ERROR_CODES["HOST_NOT_ALLOWED"].next_step


@pytest.mark.parametrize("url", ["http://127.0.0.1:5/a", "http://localhost/a", "http://[::1]:5/a"])
def test_this_machine_serves_files_only_for_an_api_on_this_machine(url: str) -> None:
    assert parse_media_url(url, LOCAL_RULES)
    assert refusal(url, RULES).code == "HOST_NOT_ALLOWED"


def test_an_api_on_this_machine_does_not_allow_plain_http_elsewhere() -> None:
    assert refusal("http://media.app.layer.ai/a.png", LOCAL_RULES).code == "HOST_NOT_ALLOWED"


def test_files_may_go_to_any_https_host_that_layer_signs() -> None:
    assert to_storage("https://storage.test/x?sig=1", RULES).hostname == "storage.test"


@pytest.mark.parametrize("url", ["http://storage.test/x", "https://u:p@storage.test/x"])
def test_never_sends_files_over_plain_http_or_with_credentials(url: str) -> None:
    with pytest.raises(LayerError, match="HOST_NOT_ALLOWED"):
        to_storage(url, RULES)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "142.250.1.1", "2607:f8b0::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_may_be_connected_to(address: str) -> None:
    assert may_connect(address, RULES)


@pytest.mark.parametrize("rules", [RULES, LOCAL_RULES], ids=["public api", "local api"])
@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::10.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2002:a00:1::1",
        "2001:0:a00:1::1",
    ],
)
def test_private_addresses_are_never_connected_to(address: str, rules: HostRules) -> None:
    assert not may_connect(address, rules)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_is_connected_to_only_for_an_api_on_loopback(address: str) -> None:
    assert may_connect(address, LOCAL_RULES)
    assert not may_connect(address, RULES)
