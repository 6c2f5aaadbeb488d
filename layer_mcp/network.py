"""The network of this machine: loopback, listening, and its certificates and proxies."""

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
PROXY_SCHEMES = ("https", "http", "all")
PROXY_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True)
class Proxy:
    """A proxy and the variable that names it. The URL has no user name and no password."""

    variable: str
    url: str
    host: str
    port: int


class InvalidProxyError(ValueError):
    """A proxy setting that isn't the URL of a proxy; `variable` names the setting."""

    def __init__(self, variable: str) -> None:
        super().__init__(variable)
        self.variable = variable


def is_loopback(url: str) -> bool:
    """Return whether a URL names this machine."""
    return urlsplit(url).hostname in LOOPBACK_HOSTS


def listen(host: str, port: int) -> socket.socket:
    """Listen on a TCP port; port 0 takes any free one.

    Raises:
        OSError: the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, because asyncio turns off Nagle's delay (40 ms an answer) only where it reads that.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def tls_context() -> "ssl.SSLContext":
    """Trust the system's authorities and the private ones that the environment names.

    Raises:
        OSError: SSL_CERT_FILE or SSL_CERT_DIR cannot be used.
    """
    # Only a request needs these: a server that lists its tools starts without them.
    import ssl  # noqa: PLC0415

    import truststore  # noqa: PLC0415

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    cafile, capath = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if cafile or capath:
        context.load_verify_locations(cafile or None, capath or None)
    return context


def is_untrusted_certificate(error: BaseException | None) -> bool:
    """Return whether a connection failed because this machine does not trust the certificate."""
    import ssl  # noqa: PLC0415

    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


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
    url = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidProxyError(variable) from None
    if not host or parts.scheme not in PROXY_PORTS:
        raise InvalidProxyError(variable)
    port = port or PROXY_PORTS[parts.scheme]
    bracketed_host = f"[{host}]" if ":" in host else host
    return Proxy(variable, f"{parts.scheme}://{bracketed_host}:{port}", host, port)


def describe_unusable_settings() -> str:
    """Say which variables make connections impossible. Their values may have a password."""
    try:
        tls_context()
    except (OSError, ValueError):
        names = [name for name in CERTIFICATE_VARIABLES if os.environ.get(name)]
        return f"{' and '.join(names) or 'The trust store'} has no usable certificates."
    names = [*_invalid_proxies(), *list_proxy_variables()]
    # It may hold text that isn't the name of a host.
    names += [proxy_variable("no")] if _proxies().get("no") else []
    if not names:
        return "The network settings of this system cannot be used."
    return f"{names[0]} is not a usable proxy setting."


def _invalid_proxies() -> list[str]:
    invalid: list[str] = []
    for scheme, url in _proxies().items():
        if scheme in PROXY_SCHEMES:
            try:
                parse_proxy(proxy_variable(scheme), url)
            except InvalidProxyError as error:
                invalid.append(error.variable)
    return invalid


def _proxies() -> dict[str, str]:
    # Only a request needs it: it loads the standard library's HTTP client.
    from urllib.request import getproxies  # noqa: PLC0415

    return getproxies()
