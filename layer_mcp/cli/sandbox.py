"""layer-mcp sandbox, and the embedded sandbox of commands that run with --sandbox."""

import argparse
import contextlib
import dataclasses
import signal
import time
from collections.abc import Generator

from ..network import is_loopback
from ..settings import Settings
from .parser import EXIT_OK


@contextlib.contextmanager
def own_sandbox(settings: Settings) -> Generator[Settings]:
    """Start a sandbox if the settings ask for one without naming its address.

    Yields the settings for it, or the given settings if no sandbox is needed.
    """
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


def serve_sandbox(options: argparse.Namespace) -> int:
    """Serve a simulated Layer until it's interrupted."""
    from ..sandbox import SandboxState, running_sandbox  # noqa: PLC0415

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    state = SandboxState()
    if options.run_seconds is not None:
        state.knobs.run_seconds = options.run_seconds
    with running_sandbox(state, port=options.port) as running:
        print("A simulated Layer. Nothing is charged. To use it, set:")
        print("LAYER_SANDBOX=1")
        print(f"LAYER_API_URL={running.api_url}")
        print(f"LAYER_API_KEY={running.token}")
        print(f"LAYER_WORKSPACE_ID={running.workspace_id}")
        print("Models:")
        for model in running.state.models:
            print(f"  {model.model_id}  {model.name} ({model.modality})")
        print("Stop it with Ctrl+C.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
    return EXIT_OK
