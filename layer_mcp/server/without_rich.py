"""The SDK's log handler without rich, which takes a tenth of the start and breaks long lines."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

USED_BY_THE_SDK = "rich.console"


@contextmanager
def without_rich() -> Generator[None]:
    """Let rich look as if it were not installed; the SDK then logs with the standard handler."""
    modules = cast("dict[str, Any]", sys.modules)
    is_loaded = USED_BY_THE_SDK in modules
    loaded = modules.get(USED_BY_THE_SDK)
    modules[USED_BY_THE_SDK] = None
    try:
        yield
    finally:
        if is_loaded:
            modules[USED_BY_THE_SDK] = loaded
        else:
            del modules[USED_BY_THE_SDK]
