"""Whether a machine can be reached: its name, then its port."""

import contextlib
import socket
from typing import cast

import anyio

from .in_time import within

NAME_SECONDS = 2.0
CONNECT_SECONDS = 2.0


def connecting_problem(host: str, port: int) -> str | None:
    """Why no connection can be made, as the end of a sentence; None when one can.

    Takes at most 4 s.
    """
    # Before anything else looks it up: asyncio waits for a resolver that hangs, also at its end.
    try:
        within(NAME_SECONDS, lambda: socket.getaddrinfo(host, port))
    except TimeoutError:
        return f"the name {host} is not resolved in {NAME_SECONDS:g} s"
    except (OSError, UnicodeError):
        return f"the name {host} is not known"
    return anyio.run(_connecting_problem, host, port)


async def _connecting_problem(host: str, port: int) -> str | None:
    try:
        with anyio.fail_after(CONNECT_SECONDS):
            stream = await anyio.connect_tcp(host, port)
    except TimeoutError:
        return f"{host}:{port} does not answer in {CONNECT_SECONDS:g} s"
    except OSError as error:
        is_refused = _is_refused(error.__cause__ or error)
        return f"{host}:{port} {'refuses connections' if is_refused else 'cannot be reached'}"
    with contextlib.suppress(OSError):
        await stream.aclose()
    return None


def _is_refused(error: BaseException | None) -> bool:
    """Whether every address said no; anyio wraps what they say."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return all(map(_is_refused, group.exceptions))
    return isinstance(error, ConnectionRefusedError)
