"""Which workspace is meant: by id, slug or name, or the only one of the account. Pure rules."""

from collections.abc import Sequence

from ..errors import LayerError
from .models import Workspace

MAX_LISTED = 20
MAX_NAME_LENGTH = 60


def choose_workspace(wanted: str | None, workspaces: Sequence[Workspace]) -> Workspace:
    """The workspace whose id, slug or name is `wanted`, or the only one when nothing is wanted.

    Raises:
        LayerError: WORKSPACE_NOT_FOUND or WORKSPACE_REQUIRED, with the ones there are.
    """
    if wanted is None:
        if len(workspaces) == 1:
            return workspaces[0]
        step = None if workspaces else "Create a workspace at app.layer.ai."
        raise LayerError("WORKSPACE_REQUIRED", _several(workspaces), next_step=step)
    key = wanted.strip().casefold()
    matches = [w for w in workspaces if key in (_folded(w.workspace_id), _folded(w.slug))]
    matches = matches or [w for w in workspaces if key == _folded(w.name)]
    if len(matches) == 1:
        return matches[0]
    problem = "More than one workspace is" if matches else "No workspace of this account is"
    sentence = f'{problem} called "{wanted[:MAX_NAME_LENGTH]}". {_several(workspaces)}'
    raise LayerError("WORKSPACE_NOT_FOUND", sentence)


def _folded(name: str | None) -> str:
    return (name or "").casefold()


def _label(workspace: Workspace) -> str:
    name = (workspace.name or workspace.slug or "without name")[:MAX_NAME_LENGTH]
    return f"{name} ({workspace.workspace_id})"


def _several(workspaces: Sequence[Workspace]) -> str:
    if not workspaces:
        return "The account has no workspace."
    listed = "; ".join(_label(w) for w in workspaces[:MAX_LISTED])
    more = len(workspaces) - MAX_LISTED
    return f"The account has {listed}{f' and {more} more' if more > 0 else ''}."
