"""The network of this machine: loopback, listening, and its certificates and proxies."""

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    import ssl

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
PROXY_SCHEMES = ("https", "http", "all")
PROXY_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
DEFAULT_PORTS = {"http": 80, "https": 443}
# GNOME and others write it for a SOCKS proxy of any version.
SOCKS_SCHEME = "socks"
PROXY_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


class NetworkSettingsError(ValueError):
    """A variable that makes connections impossible; its value isn't shown."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable} {problem}.")
        self.variable = variable
        self.problem = problem


class InvalidProxyError(NetworkSettingsError):
    """A proxy setting that isn't the URL of a proxy."""

    def __init__(self, variable: str) -> None:
        super().__init__(variable, "isn't the URL of a proxy")


class CertificatesError(NetworkSettingsError):
    """A variable that names no usable certificates; `reason` says why."""

    def __init__(self, variable: str, reason: str) -> None:
        super().__init__(variable, f"has no usable certificates: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Proxy:
    """A proxy and the variable that names it.

    `shown_url` has no user name and no password.
    """

    variable: str
    url: str = field(repr=False)
    shown_url: str
    host: str
    port: int


def is_loopback(url: str) -> bool:
    """Return whether a URL names this machine."""
    return urlsplit(url).hostname in LOOPBACK_HOSTS


def listen(host: str, port: int) -> socket.socket:
    """Listen on a TCP port; port 0 takes any free one. `::` means IPv4 addresses too.

    Raises:
        OSError: The port is taken, or this machine has no such address.
    """
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )
    # A name that has both kinds of addresses, such as localhost, means the IPv4 one.
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    # Named TCP, because asyncio turns off Nagle's delay (40 ms a reply) only where it reads that.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def tls_context() -> "ssl.SSLContext":
    """Trust the system's authorities and the private ones that the environment names.

    Raises:
        CertificatesError: SSL_CERT_FILE or SSL_CERT_DIR can't be used.
    """
    # Only a request needs these: a server that lists its tools starts without them.
    import ssl  # noqa: PLC0415

    import truststore  # noqa: PLC0415

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for variable, argument in zip(CERTIFICATE_VARIABLES, ("cafile", "capath"), strict=True):
        if path := os.environ.get(variable):
            try:
                context.load_verify_locations(**{argument: path})
            except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
                raise CertificatesError(variable, error.strerror or type(error).__name__) from None
            except (OSError, ValueError):
                reason = "no certificate can be read from it"
                raise CertificatesError(variable, reason) from None
    return context


def is_untrusted_certificate(error: BaseException | None) -> bool:
    """Return whether a connection failed because the certificate isn't trusted here."""
    import ssl  # noqa: PLC0415

    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def find_proxy(url: str) -> Proxy | None:
    """Return the proxy that the environment sets for a URL, or None.

    Raises:
        InvalidProxyError: The setting isn't the URL of a proxy.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in LOOPBACK_HOSTS:
        return None
    proxies = _proxies()
    scheme = next((scheme for scheme in (parts.scheme, "all") if proxies.get(scheme)), None)
    if scheme is None or _is_bypassed(parts, proxies):
        return None
    return parse_proxy(proxy_variable(scheme), proxies[scheme])


def list_proxy_variables() -> tuple[str, ...]:
    """Return the variables that name a proxy, whether or not it's used for the API."""
    proxies = _proxies()
    return tuple(proxy_variable(scheme) for scheme in PROXY_SCHEMES if proxies.get(scheme))


def proxy_variable(scheme: str) -> str:
    """Return the variable that names the proxy for a scheme."""
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    # Without a variable, the proxy comes from the settings of macOS or Windows.
    return next((name for name in names if os.environ.get(name)), "the system's proxy setting")


def parse_proxy(variable: str, url: str) -> Proxy:
    """Return the proxy that a variable names.

    Raises:
        InvalidProxyError: The setting isn't the URL of a proxy.
    """
    url = url.strip()
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidProxyError(variable) from None
    scheme = "socks5" if parts.scheme == SOCKS_SCHEME else parts.scheme
    if scheme not in PROXY_PORTS or not PROXY_HOST.fullmatch(host or ""):
        raise InvalidProxyError(variable)
    host, port = host or "", port or PROXY_PORTS[scheme]
    address = f"{f'[{host}]' if ':' in host else host}:{port}"
    user, at, _ = parts.netloc.rpartition("@")
    return Proxy(variable, f"{scheme}://{user}{at}{address}", f"{scheme}://{address}", host, port)


def _is_bypassed(parts: SplitResult, proxies: Mapping[str, str]) -> bool:
    """Return whether NO_PROXY, or the settings of macOS or Windows, exclude a URL's host."""
    # Only a request needs it: it loads the standard library's HTTP client.
    from urllib.request import proxy_bypass  # noqa: PLC0415

    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    entries = proxies.get("no", "").replace(",", " ").lower().split()
    return any(_matches(entry, host, port) for entry in entries) or bool(proxy_bypass(host))


def _matches(entry: str, host: str, port: int) -> bool:
    """Return whether an entry of NO_PROXY is for a host.

    It's a name with its subdomains, an address, a network such as 10.0.0.0/8, or a URL. A port can
    follow, and brackets can enclose an IPv6 address.
    """
    if entry == "*":
        return True
    address, network = _parse_network(host), _parse_network(entry)
    if network is not None:
        return (
            address is not None
            and address.version == network.version
            and (address.network_address in network)
        )
    try:
        parts = urlsplit(entry if "://" in entry else f"//{entry}")
        name, entry_port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if entry_port not in (None, port):
        return False
    if address is not None:
        return address == _parse_network(name)
    name = name.removeprefix("*").strip(".")
    return bool(name) and f".{host.rstrip('.')}".endswith(f".{name}")


def _parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return a network, or an address as a network of one; None for a name."""
    address, slash, bits = text.partition("/")
    try:
        return ipaddress.ip_network(f"{address.strip('[]')}{slash}{bits}", strict=False)
    except ValueError:
        return None


def _proxies() -> dict[str, str]:
    # Only a request needs it: it loads the standard library's HTTP client.
    from urllib.request import getproxies  # noqa: PLC0415

    return getproxies()
