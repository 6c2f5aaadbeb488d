"""What Layer says of the token, the workspace and its balance."""

from ..api.client import choose_workspace
from ..api.models import Workspace
from ..errors import LayerError, next_step_for
from .check import Check, Subject
from .network_checks import in_own_words
from .setup import Setup

TOKEN_ACCEPTED = Subject("token_accepted", "Token accepted")
WORKSPACE = Subject("workspace", "Workspace")
BALANCE = Subject("balance", "Balance")


def token_accepted(setup: Setup) -> Check:
    """Whether Layer takes the token."""
    try:
        count = len(setup.workspaces)
    except LayerError as error:
        fix = error.next_step if error.code != "TIMEOUT" else "Try again in a minute."
        return TOKEN_ACCEPTED.failed(in_own_words(error), fix)
    return TOKEN_ACCEPTED.ok(f"it opens {count} workspace{'' if count == 1 else 's'}")


def workspace(setup: Setup) -> Check:
    """Which workspace runs are made in."""
    try:
        chosen = choose_workspace(setup.settings.workspace, setup.workspaces)
    except LayerError as error:
        if error.code == "WORKSPACE_REQUIRED" and setup.workspaces:
            fix = "Set LAYER_WORKSPACE_ID to one of them, or let the agent choose in each call."
            return WORKSPACE.warning(f"none is chosen. {error.message}", fix)
        fix = "Set LAYER_WORKSPACE_ID to one of these workspaces."
        return WORKSPACE.failed(error.message, fix if setup.workspaces else error.next_step)
    return WORKSPACE.ok(f"{chosen.name or chosen.slug or 'without name'} ({chosen.workspace_id})")


def balance(setup: Setup) -> Check:
    """Whether the workspace can pay for anything."""
    if setup.settings.workspace is None and len(setup.workspaces) > 1:
        return BALANCE.skipped("no workspace is chosen")
    found = _left(choose_workspace(setup.settings.workspace, setup.workspaces))
    if found is None:
        return BALANCE.skipped("Layer did not say it")
    if found <= 0:
        return BALANCE.failed(f"{found:g} CU", next_step_for("INSUFFICIENT_BALANCE"))
    return BALANCE.ok(f"{found:g} CU")


def _left(workspace: Workspace) -> float | None:
    """What can be spent now; runs under way have reserved the rest."""
    available = workspace.available_creative_units
    return workspace.balance_creative_units if available is None else available
