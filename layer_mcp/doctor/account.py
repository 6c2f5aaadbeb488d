"""The workspaces that the token opens."""

import anyio

from ..api.client import LayerClient
from ..api.models import Workspace
from ..errors import LayerError
from .probe import QUICK

ACCOUNT_SECONDS = 4.0


def workspaces_of(token: str, api_url: str) -> list[Workspace]:
    """All workspaces of the account; takes at most 4 s.

    Raises:
        LayerError: Layer refuses the token, or does not answer.
    """
    return anyio.run(_workspaces_of, token, api_url)


async def _workspaces_of(token: str, api_url: str) -> list[Workspace]:
    try:
        with anyio.fail_after(ACCOUNT_SECONDS):
            async with LayerClient(token, api_url=api_url, limits=QUICK) as layer:
                return await layer.list_workspaces()
    except TimeoutError:
        raise LayerError("TIMEOUT", "Layer did not answer in time.") from None
