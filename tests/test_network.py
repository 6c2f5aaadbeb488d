"""Proxies and certificates from the environment."""

from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layer_mcp.network import (
    CertificatesError,
    InvalidProxyError,
    find_proxy,
    parse_proxy,
    tls_context,
)

URL = "https://layer.test/api"
PROXY = "http://user:pass@proxy.test:3128"
VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("socks://proxy.test:1080", "socks5://proxy.test:1080"),
        ("SOCKS://user:pass@proxy.test", "socks5://user:pass@proxy.test:1080"),
        ("socks5h://proxy.test", "socks5h://proxy.test:1080"),
        ("proxy.test:3128", "http://proxy.test:3128"),
        (" http://proxy.test/ ", "http://proxy.test:80"),
        ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128"),
    ],
)
def test_a_proxy_is_written_in_several_ways(text: str, url: str) -> None:
    assert parse_proxy("ALL_PROXY", text).url == url


def test_the_shown_url_has_no_user_name_and_no_password() -> None:
    proxy = parse_proxy("HTTPS_PROXY", PROXY)
    assert proxy.shown_url == "http://proxy.test:3128"
    assert "pass" not in repr(proxy)


def test_a_proxy_for_https_comes_before_one_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://plain.test")
    assert find_proxy(URL) is None
    monkeypatch.setenv("ALL_PROXY", "socks://all.test")
    monkeypatch.setenv("https_proxy", PROXY)
    proxy = find_proxy(URL)
    assert proxy is not None
    assert (proxy.variable, proxy.host) == ("https_proxy", "proxy.test")


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("layer.test", URL),
        ("LAYER.TEST", URL),
        (".test", URL),
        ("*.test", URL),
        ("*", URL),
        ("a.test b.test,layer.test", URL),
        ("layer.test:443", URL),
        ("https://layer.test", URL),
        ("[2001:db8::1]", "https://[2001:db8::1]/api"),
        ("2001:DB8:0::1", "https://[2001:db8::1]/api"),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/api"),
        ("2001:db8::/32", "https://[2001:db8::1]/api"),
        ("[2001:db8::]/32", "https://[2001:db8::1]/api"),
        ("10.0.0.0/8", "https://10.1.2.3/api"),
        ("10.1.2.3", "https://10.1.2.3/api"),
        ("10.1.2.3:8443", "https://10.1.2.3:8443/api"),
    ],
)
def test_an_entry_of_no_proxy_excludes_a_host(
    entry: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", f"other.test, {entry}")
    assert find_proxy(url) is None


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("ayer.test", URL),
        ("layer.test:8443", URL),
        ("layer.test.evil", URL),
        ("10.0.0.0/8", "https://110.0.0.1/api"),
        ("10.0.0.0/8", "https://[2001:db8::1]/api"),
        ("10.0.0.0/8", "https://10.test/api"),
        ("[::1", URL),
        ("layer.test:port", URL),
        (".", URL),
    ],
)
def test_other_entries_of_no_proxy_exclude_nothing(
    entry: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", entry)
    assert find_proxy(url) is not None


def test_an_unused_invalid_proxy_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "carrier-pigeon://x")
    monkeypatch.setenv("ALL_PROXY", PROXY)
    assert find_proxy(URL) is not None
    with pytest.raises(InvalidProxyError, match="HTTP_PROXY isn't the URL of a proxy"):
        find_proxy("http://layer.test/api")


@given(st.text(), st.sampled_from(["", "http://", "socks5://", "https://user:", "socks://@"]))
def test_a_proxy_is_usable_or_rejected(text: str, before: str) -> None:
    try:
        proxy = parse_proxy("HTTPS_PROXY", before + text)
    except InvalidProxyError:
        return
    assert httpx.Proxy(proxy.url).url.host == proxy.host.lower()


def test_names_the_invalid_certificate_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(CertificatesError, match="SSL_CERT_FILE has no usable certificates: No"):
        tls_context()
