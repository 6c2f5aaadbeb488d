"""Authentication of the HTTP server, as its settings ask for it."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.routing import Route
from starlette.types import ASGIApp

from ....network import LOOPBACK_HOSTS
from ....settings import SettingsError
from ..settings import HTTP_PATH, HttpSettings
from .access_token import CallerVerifier
from .challenge import Challenges
from .keys import IssuerKeys
from .metadata import metadata_routes, metadata_url
from .middleware import require_caller
from .oauth import OAuthVerifier
from .watched_file import WatchedTokenFile

if TYPE_CHECKING:
    from .issuer_keys import FetchedKeys


@dataclass(frozen=True)
class Authentication:
    """How the server authenticates callers.

    `server_url` is the address that clients use, without a path.
    """

    http: HttpSettings
    server_url: str
    file: WatchedTokenFile

    @property
    def resource_url(self) -> str:
        """The address of the endpoint, which access tokens are for."""
        return self.server_url + HTTP_PATH

    def routes(self) -> list[Route]:
        """Return the routes that clients without a token need."""
        if self.http.oauth_issuer is None:
            return []
        return metadata_routes(self.resource_url, self.http.oauth_issuer)

    def protect(self, app: ASGIApp, spending_tools: Collection[str]) -> ASGIApp:
        """Return the application for authenticated callers, or unchanged without authentication.

        `spending_tools` are the names of the tools that need the scope layer:spend.
        """
        if not self.http.authenticates:
            return app
        oauth, challenges = None, Challenges()
        if self.http.oauth_issuer is not None:
            issuer, audience = self.http.oauth_issuer, self.http.oauth_audience
            keys = IssuerKeys(partial(_fetch_keys, issuer, self.http.oauth_jwks_url))
            oauth = OAuthVerifier(issuer, audience or self.resource_url, keys)
            challenges = Challenges(metadata_url(self.resource_url))
        verifier = CallerVerifier(self.file, oauth)
        return require_caller(app, verifier, challenges, spending_tools)


def open_authentication(http: HttpSettings, server_url: str) -> Authentication:
    """Check the settings and read the tokens.

    Raises:
        SettingsError: The tokens file is invalid, or OAuth needs an address that isn't set.
    """
    if http.oauth_issuer and http.public_url is None and http.host not in LOOPBACK_HOSTS:
        raise SettingsError(
            "With LAYER_OAUTH_ISSUER, set LAYER_PUBLIC_URL to the address that clients use."
        )
    path = None if http.tokens_file is None else Path(http.tokens_file).expanduser().absolute()
    return Authentication(http, server_url, WatchedTokenFile(path))


async def _fetch_keys(issuer: str, jwks_url: str | None) -> "FetchedKeys":
    from .issuer_keys import fetch_keys  # noqa: PLC0415

    return await fetch_keys(issuer, jwks_url)
