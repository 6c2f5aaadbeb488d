"""Game assets from Layer's REST API, for AI agents (MCP) and for Python.

The names are those of `exports`. They load at their first use, so that the command line starts fast
and can be interrupted from the beginning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .exports import *  # noqa: F403
    from .exports import __all__ as __all__
else:

    def __getattr__(name: str) -> Any:
        exports = import_module(".exports", __name__)
        if name not in ("__all__", *exports.__all__):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(exports, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *import_module(".exports", __name__).__all__})
