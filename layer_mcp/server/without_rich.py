"""The SDK's log handler without rich, which takes a tenth of the start and breaks long lines."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

USED_BY_THE_SDK = "rich.console"


@contextmanager
def without_rich() -> Generator[None]:
    """Let rich look as if it were not installed; the SDK then logs with the standard handler.

    Where it is loaded already, it costs nothing more, and its threads may just be using it.
    """
    if USED_BY_THE_SDK in sys.modules:
        yield
        return
    modules = cast("dict[str, Any]", sys.modules)
    modules[USED_BY_THE_SDK] = None
    try:
        yield
    finally:
        del modules[USED_BY_THE_SDK]
