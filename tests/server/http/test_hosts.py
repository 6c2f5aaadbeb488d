"""Which hosts and origins a request can name, by how the server is reached."""

import pytest

from layer_mcp.server.http.hosts import allowed_hosts
from layer_mcp.server.http.settings import HttpSettings

PUBLIC = allowed_hosts(HttpSettings(host="0.0.0.0", public_url="https://mcp.example.com"))
WITH_PORT = allowed_hosts(HttpSettings(public_url="https://mcp.example.com:8443"))
BY_ADDRESS = allowed_hosts(HttpSettings(public_url="https://[2001:db8::1]"))
NETWORK = allowed_hosts(HttpSettings(host="0.0.0.0"))
NAMED = allowed_hosts(HttpSettings(host="Assets.Studio.Lan"))
PROXIED_LOCALLY = allowed_hosts(HttpSettings(public_url="http://localhost:9000"))


@pytest.mark.parametrize("host", ["mcp.example.com", "MCP.Example.Com", "mcp.example.com:443"])
def test_the_public_host_is_allowed_with_its_default_port_or_without(host: str) -> None:
    assert PUBLIC.allow_host(host.encode())


@pytest.mark.parametrize(
    "host",
    [
        "mcp.example.com.",
        "mcp.example.com:80",
        "mcp.example.com:8443",
        "mcp.example.com:",
        "mcp.example.com:0443",
        "mcp.example.com:443:443",
        "mcp.example.com:443@evil.example",
        "user@mcp.example.com",
        "mcp.example.com/",
        "mcp.example.com evil.example",
        " mcp.example.com",
        "evil.mcp.example.com",
        "mcp.example.com.evil.example",
        "mcp\u0430.example.com",
        "127.0.0.1",
        "localhost",
        "[::1]",
        "",
    ],
)
def test_no_other_host_is_allowed_for_a_public_server(host: str) -> None:
    assert not PUBLIC.allow_host(host.encode())


def test_another_port_than_the_default_one_must_be_named() -> None:
    assert WITH_PORT.allow_host(b"mcp.example.com:8443")
    assert not WITH_PORT.allow_host(b"mcp.example.com")


@pytest.mark.parametrize("host", ["[2001:db8::1]", "[2001:DB8:0::1]:443"])
def test_an_ipv6_address_is_allowed_in_each_of_its_forms(host: str) -> None:
    assert BY_ADDRESS.allow_host(host.encode())


@pytest.mark.parametrize("host", ["2001:db8::1", "[2001:db8::1%25eth0]", "[2001:db8::2]", "[]"])
def test_an_ipv6_address_in_another_form_is_rejected(host: str) -> None:
    assert not BY_ADDRESS.allow_host(host.encode())


@pytest.mark.parametrize("host", ["192.168.1.5:8750", "10.0.0.7", "[fd00::5]:8750", "localhost:80"])
def test_every_address_is_allowed_on_a_network_without_a_public_url(host: str) -> None:
    assert NETWORK.allow_host(host.encode())


@pytest.mark.parametrize("host", ["rebound.evil.example:8750", "0x7f.1", "2130706433", "127.1"])
def test_a_name_that_an_attacker_can_rebind_is_rejected(host: str) -> None:
    assert not NETWORK.allow_host(host.encode())


def test_the_name_that_the_server_listens_on_is_allowed() -> None:
    assert NAMED.allow_host(b"assets.studio.lan:8750")
    assert not NAMED.allow_host(b"assets.studio.lan.evil.example:8750")


@pytest.mark.parametrize("origin", ["https://mcp.example.com", "https://mcp.example.com:443"])
def test_a_page_of_the_public_server_is_allowed(origin: str) -> None:
    assert PUBLIC.allow_origin(origin.encode(), b"mcp.example.com")


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://mcp.example.com",
        "https://mcp.example.com:8443",
        "https://mcp.example.com.",
        "https://mcp.example.com/",
        "https://user@mcp.example.com",
        "https://evil.example",
        "http://localhost:6274",
        "file://",
        "chrome-extension://mcp.example.com",
    ],
)
def test_no_page_of_another_site_is_allowed(origin: str) -> None:
    assert not PUBLIC.allow_origin(origin.encode(), b"mcp.example.com")


def test_an_attackers_page_at_an_address_is_another_site() -> None:
    assert NETWORK.allow_origin(b"http://192.168.1.5:8750", b"192.168.1.5:8750")
    assert not NETWORK.allow_origin(b"http://203.0.113.9", b"192.168.1.5:8750")
    assert not NETWORK.allow_origin(b"http://localhost:6274", b"192.168.1.5:8750")


def test_pages_of_this_machine_are_allowed_only_if_the_server_is_local() -> None:
    assert PROXIED_LOCALLY.allow_origin(b"http://localhost:6274", b"localhost:9000")
    assert not WITH_PORT.allow_origin(b"http://localhost:6274", b"mcp.example.com:8443")
