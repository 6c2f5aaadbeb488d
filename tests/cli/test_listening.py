"""Addresses that a server can't listen on: each is refused in one sentence."""

import pytest

from ..support.terminal import Person

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--host", "203.0.113.1"], "This machine doesn't have the address 203.0.113.1."),
        (["--host", "2001:db8::1"], "This machine doesn't have the address 2001:db8::1."),
        (["--host", "no such host"], "--host no such host is neither an address nor a known name."),
        (["--metrics-port", "70000"], "LAYER_METRICS_PORT must be a port from 0 to 65535."),
    ],
    ids=["IPv4", "IPv6", "name", "port"],
)
def test_an_address_that_cannot_be_used_is_refused_in_a_sentence(
    options: list[str], problem: str, person: Person
) -> None:
    done = person.here("serve", "--http", "--port", "0", "--insecure-no-auth", *options)
    assert done.returncode == 2
    assert done.stderr.startswith(f"layer-mcp: {problem}")
    assert done.stderr.count("\n") == 1
