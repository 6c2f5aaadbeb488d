"""All checks in their order, each bounded and none able to stop the others."""

import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial

from ..clients.catalog import CLIENTS
from . import (
    account_checks,
    client_checks,
    folder_checks,
    installation_checks,
    journal_check,
    network_checks,
    settings_checks,
)
from .check import Check, Subject
from .in_time import within
from .secrecy import hidden, secrets_of
from .setup import Setup

CHECK_SECONDS = 10.0
ALL_SECONDS = 14.0
REPORT_STEP = "Try again; if it stays, report this with what layer-mcp doctor --json prints."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """A check and the ones before it without which it says nothing."""

    subject: Subject
    check: Callable[[Setup], Check | None]
    after: tuple[Subject, ...] = ()


SETTINGS, TOKEN = settings_checks.SETTINGS, settings_checks.TOKEN
WAY = (network_checks.PROXY, network_checks.CERTIFICATES)
ACCEPTED, WORKSPACE = account_checks.TOKEN_ACCEPTED, account_checks.WORKSPACE

CHECKS = (
    Row(installation_checks.PYTHON, installation_checks.python),
    Row(installation_checks.PACKAGES, installation_checks.packages),
    Row(SETTINGS, settings_checks.settings),
    Row(TOKEN, settings_checks.token, (SETTINGS,)),
    Row(network_checks.PROXY, network_checks.proxy, (SETTINGS,)),
    Row(network_checks.CERTIFICATES, network_checks.certificates, (SETTINGS,)),
    Row(network_checks.API, network_checks.api, WAY),
    Row(network_checks.CLOCK, network_checks.clock, (network_checks.API,)),
    Row(ACCEPTED, account_checks.token_accepted, (TOKEN, network_checks.API)),
    Row(WORKSPACE, account_checks.workspace, (ACCEPTED,)),
    Row(account_checks.BALANCE, account_checks.balance, (WORKSPACE,)),
    Row(folder_checks.OUTPUT_FOLDER, folder_checks.output, (SETTINGS,)),
    Row(folder_checks.INPUT_FOLDERS, folder_checks.inputs, (SETTINGS,)),
    Row(journal_check.JOURNAL, journal_check.journal, (SETTINGS,)),
    Row(client_checks.CLIENTS_FOUND, client_checks.clients),
    *(
        Row(client_checks.subject_of(client), partial(client_checks.client_entry, client=client))
        for client in CLIENTS
    ),
)


def examine(setup: Setup) -> Generator[Check]:
    """Every check, one after the other; takes at most 14 s. No secret is in them."""
    deadline = time.monotonic() + ALL_SECONDS
    broken: dict[Subject, str] = {}
    for row in CHECKS:
        found = _found(row, setup, broken, deadline)
        if found is None:
            continue
        if found.state == "failed":
            broken[row.subject] = f"see {found.title}"
        elif found.state == "skipped":
            broken[row.subject] = found.fact.partition(": ")[2]
        yield hidden(found, secrets_of(setup))


def _found(row: Row, setup: Setup, broken: dict[Subject, str], deadline: float) -> Check | None:
    why = next((broken[before] for before in row.after if before in broken), None)
    if why is not None:
        return row.subject.skipped(why)
    left = min(CHECK_SECONDS, deadline - time.monotonic())
    if left <= 0:
        return row.subject.skipped(f"{ALL_SECONDS:g} s are over")
    try:
        return within(left, partial(row.check, setup))
    except TimeoutError:
        fix = "Look for a disk or a network that hangs, then try again."
        return row.subject.failed("it did not come to an end", fix)
    # One check that breaks must not hide what the others find.
    except Exception as error:
        logger.debug("%s broke", row.subject.id, exc_info=error)
        return row.subject.failed(f"the check broke ({type(error).__name__})", REPORT_STEP)
