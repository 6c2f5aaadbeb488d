"""Checks of the account: whether Layer accepts the token, the workspace, and its balance."""

import anyio

from ..api.client import choose_workspace
from ..api.models import Workspace
from ..errors import LayerError, next_step_for
from .connection import SHORT_LIMITS, safe_message
from .environment import find_token
from .types import Finding, Setup, fail, ok, skip, warn

ACCOUNT_SECONDS = 4.0


def check_token_accepted(setup: Setup) -> Finding:
    """Check that Layer accepts the token."""
    try:
        count = len(setup.get(_fetch_workspaces))
    except LayerError as error:
        fix = error.next_step if error.code != "TIMEOUT" else "Try again in a minute."
        return fail(safe_message(error), fix)
    return ok(f"gives access to {count} workspace{'' if count == 1 else 's'}")


def check_workspace(setup: Setup) -> Finding:
    """Check that it's clear which workspace runs are started in."""
    workspaces = setup.get(_fetch_workspaces)
    try:
        chosen = choose_workspace(setup.settings.workspace, workspaces)
    except LayerError as error:
        if error.code == "WORKSPACE_REQUIRED" and workspaces:
            fix = "Set LAYER_WORKSPACE_ID to one of them, or let the agent choose in each call."
            return warn(f"none is chosen. {error.message}", fix)
        fix = "Set LAYER_WORKSPACE_ID to one of these workspaces."
        return fail(error.message, fix if workspaces else error.next_step)
    return ok(f"{chosen.name or chosen.slug or 'unnamed'} ({chosen.workspace_id})")


def check_balance(setup: Setup) -> Finding:
    """Check that the workspace has Creative Units left."""
    workspaces = setup.get(_fetch_workspaces)
    if setup.settings.workspace is None and len(workspaces) > 1:
        return skip("no workspace is chosen")
    balance = _available_creative_units(choose_workspace(setup.settings.workspace, workspaces))
    if balance is None:
        return skip("Layer didn't report it")
    if balance <= 0:
        return fail(f"{balance:g} CU", next_step_for("INSUFFICIENT_BALANCE"))
    return ok(f"{balance:g} CU")


def _fetch_workspaces(setup: Setup) -> list[Workspace]:
    token = setup.get(find_token)
    return anyio.run(_list_workspaces, token.value if token else "", setup.settings.api_url)


async def _list_workspaces(token: str, api_url: str) -> list[Workspace]:
    # Loads httpx, which may be the package that is missing.
    from ..api.client import LayerClient  # noqa: PLC0415

    try:
        with anyio.fail_after(ACCOUNT_SECONDS):
            async with LayerClient(token, api_url=api_url, limits=SHORT_LIMITS) as layer:
                return await layer.list_workspaces()
    except TimeoutError:
        raise LayerError("TIMEOUT", "Layer did not answer in time.") from None


def _available_creative_units(workspace: Workspace) -> float | None:
    """Return what can be spent now: the balance without what runs in progress have reserved."""
    available = workspace.available_creative_units
    return workspace.balance_creative_units if available is None else available
