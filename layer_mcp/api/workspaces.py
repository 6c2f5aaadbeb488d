"""Which workspace is meant: by id, slug or name, or the only one of the account. Pure rules."""

import re
from collections.abc import Sequence

from .errors import LayerError
from .models import UUID_PATTERN, Workspace

MAX_LISTED = 20


def is_workspace_id(text: str) -> bool:
    """Whether the text is an id, which needs no look-up."""
    return re.fullmatch(UUID_PATTERN, text) is not None


def choose_workspace(wanted: str | None, workspaces: Sequence[Workspace]) -> Workspace:
    """The workspace whose id, slug or name is `wanted`, or the only one when nothing is wanted.

    Raises:
        LayerError: WORKSPACE_NOT_FOUND or WORKSPACE_REQUIRED, with the ones there are.
    """
    if wanted is None:
        if len(workspaces) == 1:
            return workspaces[0]
        raise LayerError("WORKSPACE_REQUIRED", _several(workspaces))
    key = wanted.strip().casefold()
    matches = [w for w in workspaces if key in (w.workspace_id.casefold(), w.slug.casefold())]
    matches = matches or [w for w in workspaces if key == w.name.casefold()]
    if len(matches) == 1:
        return matches[0]
    problem = "More than one workspace is" if matches else "No workspace of this account is"
    raise LayerError("WORKSPACE_NOT_FOUND", f'{problem} called "{wanted}". {_several(workspaces)}')


def _several(workspaces: Sequence[Workspace]) -> str:
    if not workspaces:
        return "The account has no workspace."
    listed = "; ".join(f"{w.name} ({w.workspace_id})" for w in workspaces[:MAX_LISTED])
    more = len(workspaces) - MAX_LISTED
    return f"The account has {listed}{f' and {more} more' if more > 0 else ''}."
