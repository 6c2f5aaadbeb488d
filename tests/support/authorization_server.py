"""An authorization server made of the SDK's routes, which asks nobody, and its client."""

import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    TokenError,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import ClientRegistrationOptions
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyHttpUrl, AnyUrl, ConfigDict, TypeAdapter
from starlette.types import ASGIApp, Receive, Scope, Send

from layer_mcp.server.http.serve import add_routes

from .issuer import Issuer, new_key
from .loopback_app import loopback_app

SCOPES = ["layer:read", "layer:spend"]
REDIRECT_URL = "http://127.0.0.1:1/callback"


@dataclass
class AuthorizationServer(Issuer):
    """An issuer that also registers clients and authorizes them.

    `grants` are the scopes that its user grants the first time, the second time, and so on. The
    last are granted from then on. `granted` are the scopes that were granted.
    """

    grants: tuple[list[str], ...] = (SCOPES,)
    granted: list[list[str]] = field(default_factory=list[list[str]])

    def expect(self, *grants: list[str]) -> None:
        """Grant these scopes from now on, all but the last of them once."""
        self.grants = grants
        self.granted.clear()

    def grant(self, scopes: list[str]) -> list[str]:
        """Return which of the requested scopes the user grants this time."""
        grant = self.grants[min(len(self.granted), len(self.grants) - 1)]
        self.granted.append([scope for scope in scopes if scope in grant])
        return self.granted[-1]


class Provider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Registers any client, and gives it the scopes that it asks for and the user grants."""

    def __init__(self, issuer: AuthorizationServer) -> None:
        self._issuer = issuer
        self._clients: dict[str, OAuthClientInformationFull] = {}
        self._codes: dict[str, AuthorizationCode] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self._clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self._clients[client_info.client_id] = client_info

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        code = AuthorizationCode(
            code=secrets.token_urlsafe(32),
            scopes=self._issuer.grant(params.scopes or []),
            expires_at=time.time() + 60,
            client_id=client.client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        self._codes[code.code] = code
        return construct_redirect_uri(
            str(params.redirect_uri), code=code.code, state=params.state, iss=self._issuer.url
        )

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self._codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        scope = " ".join(authorization_code.scopes)
        token = self._issuer.token(
            aud=authorization_code.resource, client_id=client.client_id, scope=scope
        )
        return OAuthToken(access_token=token, expires_in=300, scope=scope)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return None

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        raise TokenError("unsupported_grant_type")


class MemoryStorage(TokenStorage):
    """Keeps a client's registration and tokens."""

    def __init__(self) -> None:
        self._tokens: OAuthToken | None = None
        self._client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


@contextmanager
def authorization_server() -> Generator[AuthorizationServer]:
    """Serve an authorization server until the block ends."""
    issuer = AuthorizationServer(keys={"first": new_key()})
    served: list[ASGIApp] = []

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await served[0](scope, receive, send)

    with loopback_app(serve) as issuer.url:
        issuer.publish()
        config = ConfigDict(url_preserve_empty_path=True)
        routes = create_auth_routes(
            Provider(issuer),
            TypeAdapter(AnyHttpUrl, config=config).validate_python(issuer.url),
            client_registration_options=ClientRegistrationOptions(
                enabled=True, valid_scopes=SCOPES, default_scopes=SCOPES
            ),
        )
        served.append(add_routes(issuer, routes))
        yield issuer


def login(server_url: str) -> OAuthClientProvider:
    """Return the SDK's login for a client, which follows the redirect instead of a browser."""
    callbacks: list[AuthorizationCodeResult] = []

    async def follow(url: str) -> None:
        async with httpx2.AsyncClient(trust_env=False) as http:
            location = (await http.get(url)).headers["location"]
        assert location.startswith(REDIRECT_URL)
        given = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        callbacks.append(AuthorizationCodeResult.model_validate(given))

    async def receive_callback() -> AuthorizationCodeResult:
        return callbacks.pop()

    metadata = OAuthClientMetadata(redirect_uris=[AnyUrl(REDIRECT_URL)], client_name="test")
    return OAuthClientProvider(server_url, metadata, MemoryStorage(), follow, receive_callback)
