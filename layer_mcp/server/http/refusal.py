"""The answer to a request that isn't served, in the form that clients show to their agent."""

from collections.abc import Mapping

from mcp.types import INVALID_REQUEST
from starlette.responses import JSONResponse


def refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an HTTP status with a JSON-RPC error.

    Of any other body, the SDK for Python says only that it's an error. The request's ID isn't known
    yet, so it's null.
    """
    error = {"code": INVALID_REQUEST, "message": sentence}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, status, headers)
