"""Ports for programs that the tests start."""

import secrets
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

# The system gives out higher ports itself, to every connection and to every server on port 0.
FIRST_PORT, PORTS = 20_000, 10_000
START_SECONDS = 60


def free_port() -> int:
    """Return a port that no other test gets before this process ends.

    The program that it's for may take seconds to listen on it, and may be restarted.

    Raises:
        AssertionError: All ports are in use.
    """
    start = secrets.randbelow(PORTS)
    for number in range(PORTS):
        port = FIRST_PORT + (start + number) % PORTS
        if _is_unused(port) and _claim(port):
            return port
    raise AssertionError("All ports for tests are in use.")


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return once a program accepts connections on its port.

    Raises:
        AssertionError: It ends first, or takes too long.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(ConnectionError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.02)
    raise AssertionError(f"{process.args!r} doesn't start: {log.read_text()}")


def _is_unused(port: int) -> bool:
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


def _claim(port: int) -> bool:
    """Keep other test processes away from a port, by opening it for UDP until this one ends."""
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    claim.detach()
    return True
