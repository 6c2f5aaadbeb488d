"""The answers to requests that aren't served: what is missing, and how a client can get it."""

from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from ....access.scopes import SCOPES, Scope
from ..refusal import refusal

KEYS_PAUSE_SECONDS = 10

NOT_STORED = {"Cache-Control": "no-store"}

Problem = Literal["invalid_token", "insufficient_scope"]

NO_TOKEN = "Send an access token in the Authorization header."  # noqa: S105
INVALID_TOKEN = "This access token isn't valid."  # noqa: S105
NO_READ_SCOPE = "The access token needs the scope layer:read."
NO_SPEND_SCOPE = "This tool needs the scope layer:spend."
TOKEN_IN_QUERY = "Send the access token in the Authorization header, not in the URL."  # noqa: S105
SEVERAL_HEADERS = "Send one Authorization header, not several."
NO_KEYS = "The access token can't be checked, because its issuer doesn't respond. Try again."


@dataclass(frozen=True)
class Challenges:
    """The answers of a server whose metadata, if it uses OAuth, is at an address."""

    metadata_url: str | None = None

    def no_token(self) -> Response:
        """Return the answer to a request without a token."""
        return self._refuse(401, None, NO_TOKEN, SCOPES)

    def invalid_token(self) -> Response:
        """Return the answer to a request whose token isn't valid."""
        return self._refuse(401, "invalid_token", INVALID_TOKEN, SCOPES)

    def no_read_scope(self) -> Response:
        """Return the answer to a caller that may do nothing."""
        return self._refuse(403, "insufficient_scope", NO_READ_SCOPE, SCOPES[:1])

    def no_spend_scope(self) -> Response:
        """Return the answer to a reader's call of a tool that isn't read-only.

        It names all scopes that the call needs: a client asks for exactly these.
        """
        return self._refuse(403, "insufficient_scope", NO_SPEND_SCOPE, SCOPES)

    def _refuse(
        self, status: int, problem: Problem | None, sentence: str, scopes: tuple[Scope, ...]
    ) -> Response:
        parts = {
            "error": problem,
            "error_description": sentence if problem else None,
            "resource_metadata": self.metadata_url,
            "scope": " ".join(scopes),
        }
        fields = ", ".join(f'{name}="{value}"' for name, value in parts.items() if value)
        return refusal(status, sentence, NOT_STORED | {"WWW-Authenticate": f"Bearer {fields}"})


def invalid_request(sentence: str) -> Response:
    """Return the answer to a request whose token can't be taken from where it is."""
    return refusal(400, sentence, NOT_STORED)


def keys_unavailable() -> Response:
    """Return the answer while the issuer's keys can't be fetched."""
    return refusal(503, NO_KEYS, NOT_STORED | {"Retry-After": f"{KEYS_PAUSE_SECONDS}"})
