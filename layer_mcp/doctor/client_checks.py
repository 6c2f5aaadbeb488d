"""Which clients are configured, and whether what they start still exists."""

from ..clients.catalog import Client
from .check import Check, Subject
from .setup import Setup

CLIENTS_FOUND = Subject("clients", "Clients")


def clients(setup: Setup) -> Check:
    """Which clients have an entry for layer-mcp."""
    titles = [one.client.title for one in setup.clients if one.commands]
    if titles:
        return CLIENTS_FOUND.ok(", ".join(titles))
    return CLIENTS_FOUND.ok("none has an entry; layer-mcp install CLIENT writes one")


def subject_of(client: Client) -> Subject:
    """The line of one client."""
    return Subject(f"client.{client.id}", client.title)


def client_entry(setup: Setup, client: Client) -> Check | None:
    """Whether a client can start layer-mcp; None when it is not configured to."""
    subject = subject_of(client)
    found = next((one for one in setup.clients if one.client is client), None)
    if found is None:
        return None
    if found.problem is not None:
        fact, fix = f"{found.path}: {found.problem}", f"Correct it, then restart {client.title}."
        return subject.failed(fact, fix) if found.is_named else subject.warning(fact, fix)
    install = f"layer-mcp install {client.id}"
    missing, looked_up = found.missing(), found.looked_up()
    if missing:
        gone = ", ".join(f"{name} starts {command}" for name, command in missing.items())
        fix = f"Run {install}, or take the entry out of {found.path}."
        return subject.failed(f"{gone}, which is not there or cannot be started", fix)
    if looked_up:
        named = ", ".join(f"{name} starts {command}" for name, command in looked_up.items())
        fix = f"Clients may have another PATH than you. {install} writes the whole path."
        return subject.warning(f"{named}, without its folder", fix)
    started = ", ".join(f"{name}: {command}" for name, command in found.commands.items())
    return subject.ok(started)
