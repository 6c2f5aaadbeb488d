"""Plain TCP servers that record what they receive, to test behavior below HTTP."""

import socket
import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import trustme

Answer = Callable[[socket.socket], None]
EMPTY_LIST = b'{"workspaces": [], "pagination": {"has_more_results": false}}'


@dataclass
class Recorder:
    """A listening server and the first bytes of each connection."""

    port: int
    heads: list[bytes] = field(default_factory=list[bytes])


@contextmanager
def raw_server(answer: Answer, tls: ssl.SSLContext | None = None) -> Generator[Recorder]:
    """Serve `answer` to each connection on a loopback port until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        recorder = Recorder(listener.getsockname()[1])
        thread = threading.Thread(
            target=_serve, args=(listener, answer, tls, recorder), daemon=True
        )
        thread.start()
        try:
            yield recorder
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def http_answer(status: str, body: bytes = b"", *headers: str) -> Answer:
    """Build a complete HTTP response, after which the connection closes."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return lambda connection: connection.sendall("\r\n".join([*head, "", ""]).encode() + body)


def tls_of(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return a server's certificate for some names, issued by an authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    return context


def _serve(
    listener: socket.socket, answer: Answer, tls: ssl.SSLContext | None, recorder: Recorder
) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError):
            connection.settimeout(10)
            served = tls.wrap_socket(connection, server_side=True) if tls else connection
            recorder.heads.append(served.recv(65536))
            answer(served)
            served.close()
