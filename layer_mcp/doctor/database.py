"""The check of a journal in PostgreSQL."""

from ..runs.journal.accounts import address_of
from ..runs.journal.databases.database import DatabaseError
from .types import Finding, Setup, fail, ok, warn

DRIVER_FIX = "Install layer-mcp[postgres], or unset LAYER_DATABASE_URL."
CLOCK_SECONDS = 30.0
UNKNOWN_FIX = (
    "Look in Layer (app.layer.ai) before you start them again; they may be charged. "
    "list_runs shows them with status unknown."
)


def check_database(setup: Setup, url: str) -> Finding:
    """Check that the shared journal can be written, and that every run has a known outcome."""
    try:
        # The driver is optional.
        from .database_health import database_health  # noqa: PLC0415
    except ImportError:
        return fail("psycopg isn't installed", DRIVER_FIX)
    try:
        health = database_health(url, address_of(setup.settings))
    except DatabaseError as error:
        return fail(f"PostgreSQL: {error}", error.fix or "")
    name = f"PostgreSQL at {health.place}"
    if abs(health.clock_seconds) > CLOCK_SECONDS:
        way = "ahead of" if health.clock_seconds > 0 else "behind"
        fact = f"{name}: this machine's clock is {abs(health.clock_seconds):.0f} s {way} its clock"
        return warn(fact, "Synchronize the clocks of both machines, because limits depend on time.")
    if health.unknown:
        runs = "run has" if health.unknown == 1 else "runs have"
        return warn(f"{name}: {health.unknown} {runs} an unknown outcome", UNKNOWN_FIX)
    if not health.has_journal:
        return ok(f"{name}, created with the first run")
    used = f"{health.servers} server{' uses' if health.servers == 1 else 's use'} it now"
    return ok(f"{name}: writable, {used}")
