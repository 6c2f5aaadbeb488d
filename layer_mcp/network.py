"""What counts as this machine, how to listen on it, and which certificates it trusts."""

import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


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
