"""All checks in order. Each one has a time limit, and none can stop the others."""

import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial

from ..clients.catalog import CLIENTS
from .account import check_balance, check_token_accepted, check_workspace
from .clients import check_client, check_clients
from .environment import check_settings, check_token, hide_secrets, known_secrets
from .installation import check_packages, check_python
from .network import check_api, check_certificates, check_clock, check_proxy
from .storage import check_input_folders, check_journal, check_output_folder
from .timeout import run_with_timeout
from .types import CheckResult, Finding, Setup, fail, skip

CHECK_SECONDS = 10.0
TOTAL_SECONDS = 14.0
REPORT_STEP = "Try again. If it still fails, report it with the output of layer-mcp doctor --json."

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
    """A check, and the IDs of the checks that must pass for it to run.

    `run` returns None if there's nothing to report.
    """

    id: str
    title: str
    run: Callable[[Setup], Finding | None]
    after: tuple[str, ...] = ()


CHECKS = (
    Check("python", "Python", check_python),
    Check("packages", "Packages", check_packages),
    Check("settings", "Settings", check_settings),
    Check("token", "Token", check_token, after=("settings",)),
    Check("proxy", "Proxy", check_proxy, after=("settings",)),
    Check("certificates", "Certificates", check_certificates, after=("settings",)),
    Check("api", "Layer's API", check_api, after=("proxy", "certificates")),
    Check("clock", "Clock", check_clock, after=("api",)),
    Check("token_accepted", "Token accepted", check_token_accepted, after=("token", "api")),
    Check("workspace", "Workspace", check_workspace, after=("token_accepted",)),
    Check("balance", "Balance", check_balance, after=("workspace",)),
    Check("output_folder", "Output folder", check_output_folder, after=("settings",)),
    Check("input_folders", "Input folders", check_input_folders, after=("settings",)),
    Check("journal", "Journal", check_journal, after=("settings",)),
    Check("clients", "Clients", check_clients),
    *(
        Check(f"client.{client.id}", client.title, partial(check_client, client=client))
        for client in CLIENTS
    ),
)


def run_checks(setup: Setup) -> Generator[CheckResult]:
    """Run every check, one after another, in at most 14 s. Secrets are removed from the results."""
    deadline = time.monotonic() + TOTAL_SECONDS
    blocked: dict[str, Finding] = {}
    for check in CHECKS:
        finding = next((blocked[id] for id in check.after if id in blocked), None)
        finding = finding or _run(check, setup, deadline)
        if finding is None:
            continue
        if finding.state == "failed":
            blocked[check.id] = skip(f"see {check.title}")
        elif finding.state == "skipped":
            blocked[check.id] = finding
        shown = hide_secrets(finding, known_secrets(setup))
        yield CheckResult(check.id, check.title, shown.state, shown.fact, shown.fix)


def _run(check: Check, setup: Setup, deadline: float) -> Finding | None:
    seconds = min(CHECK_SECONDS, deadline - time.monotonic())
    if seconds <= 0:
        return skip(f"the limit of {TOTAL_SECONDS:g} s was reached")
    try:
        return run_with_timeout(seconds, partial(check.run, setup))
    except TimeoutError:
        fix = "Look for a disk or network that doesn't respond, then try again."
        return fail("it didn't finish", fix)
    # A bug in one check must not hide what the others find.
    except Exception as error:
        logger.debug("Check %s raised an exception", check.id, exc_info=error)
        return fail(f"the check crashed ({type(error).__name__})", REPORT_STEP)
