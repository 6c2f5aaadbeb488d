"""Reading a resource: bounded, and each failure as one error that says what to do."""

import logging
from base64 import b64encode

import anyio
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    BlobResourceContents,
    ReadResourceResult,
    TextResourceContents,
)

from ...errors import LayerError
from ..state import ToolContext
from .table import resource_at

MAX_SECONDS = 25
MAX_SHOWN_LENGTH = 200

logger = logging.getLogger(__name__)


async def read(uri: str, context: ToolContext) -> ReadResourceResult | None:
    """What an address leads to; None for an address that is none of ours.

    Raises:
        MCPError: invalid params for what is not there, an internal error for the rest.
    """
    found = resource_at(uri)
    if found is None:
        return None
    resource, values = found
    try:
        with anyio.fail_after(MAX_SECONDS):
            reading = await resource.read(context, values)
    except LayerError as error:
        raise _protocol_error(error, uri) from None
    except TimeoutError:
        raise _protocol_error(LayerError("TIMEOUT", "It took too long."), uri) from None
    except Exception:
        logger.exception("Reading %s crashed", resource.name)
        failure = LayerError("READ_FAILED", "The server could not read it.", next_step="Try again.")
        raise _protocol_error(failure, uri) from None
    if isinstance(reading.content, str):
        contents = TextResourceContents(uri=uri, mime_type=reading.mime_type, text=reading.content)
    else:
        contents = BlobResourceContents(
            uri=uri, mime_type=reading.mime_type, blob=b64encode(reading.content).decode()
        )
    return ReadResourceResult(contents=[contents], ttl_ms=reading.ttl_ms, cache_scope="private")


def _protocol_error(error: LayerError, uri: str) -> MCPError:
    logger.info("A resource could not be read: %s", error)
    is_asked_wrongly = error.code.endswith("_NOT_FOUND") or error.code == "INVALID_ARGUMENTS"
    return MCPError(
        code=INVALID_PARAMS if is_asked_wrongly else INTERNAL_ERROR,
        message=str(error),
        data={"uri": uri[:MAX_SHOWN_LENGTH], "code": error.code},
    )
