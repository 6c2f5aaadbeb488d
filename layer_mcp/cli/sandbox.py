"""A sandbox of a command's own, for settings that want one and name none."""

import contextlib
import dataclasses
from collections.abc import Generator

from ..network import is_loopback
from ..settings import Settings


@contextlib.contextmanager
def with_own_sandbox(settings: Settings) -> Generator[Settings]:
    """The settings, pointed at a sandbox of their own if they want one and name none."""
    if not settings.sandbox or is_loopback(settings.api_url):
        yield settings
        return
    from ..sandbox import running_sandbox  # noqa: PLC0415

    with running_sandbox() as running:
        yield dataclasses.replace(
            settings,
            api_url=running.api_url,
            api_token=running.token,
            workspace=running.workspace_id,
        )
