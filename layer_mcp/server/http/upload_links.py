"""Upload URLs of this server: sealed, short-lived permissions to send one file.

The URL itself carries all that's needed to receive the file, so every replica with the same keys
accepts it, also after a restart. It's encrypted: Layer's signed URL is inside, and stays here.
"""

import secrets
import time
import zlib
from collections.abc import Sequence

from mcp.server.request_state import AESGCMRequestStateCodec, InvalidRequestState
from pydantic import BaseModel, ValidationError

from ...api.models import UploadUrl
from ...errors import LayerError
from .settings import UPLOADS_PATH

# Layer's signed URL lives for 15 minutes.
LINK_SECONDS = 600
# The same keys also seal questions, so the keys that are derived from them must differ.
PURPOSE = "layer-mcp upload URL:"


class UploadTicket(BaseModel):
    """What an upload URL permits: one file of this type and size, for a caller's workspace."""

    caller: str
    workspace_id: str
    content_type: str
    size_bytes: int
    signed: UploadUrl
    expires_at: float


class UploadLinks:
    """Makes and opens upload URLs. The first key seals, and every key opens.

    Without keys, only this process can open its URLs.
    """

    def __init__(self, keys: Sequence[str] = (), public_url: str | None = None) -> None:
        secret_texts = keys or (secrets.token_hex(32),)
        self._codec = AESGCMRequestStateCodec([PURPOSE + text for text in secret_texts])
        self._public_url = public_url

    def make_url(self, ticket: UploadTicket, request_url: str) -> str:
        """Return the URL for a ticket, on the host of the request if no public URL is set."""
        payload = zlib.compress(ticket.model_dump_json(exclude_none=True).encode(), 9)
        base_url = self._public_url or request_url.rstrip("/")
        return f"{base_url}{UPLOADS_PATH}{self._codec.seal(payload)}"

    def open_path(self, path: str) -> UploadTicket:
        """Return the ticket in the path of an upload URL.

        Raises:
            LayerError: UPLOAD_URL_INVALID or UPLOAD_URL_EXPIRED.
        """
        try:
            payload = self._codec.unseal(path.removeprefix(UPLOADS_PATH))
            ticket = UploadTicket.model_validate_json(zlib.decompress(payload))
        except (InvalidRequestState, zlib.error, ValidationError):
            raise LayerError("UPLOAD_URL_INVALID", "The upload URL is invalid.") from None
        if time.time() >= ticket.expires_at:
            raise LayerError("UPLOAD_URL_EXPIRED", "The upload URL has expired.")
        return ticket
