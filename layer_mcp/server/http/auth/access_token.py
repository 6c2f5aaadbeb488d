"""Verifies tokens of both kinds, and tells the SDK and the server whose they are."""

from dataclasses import dataclass

from mcp.server.auth.provider import AccessToken, TokenVerifier
from pydantic import InstanceOf

from ....access.scopes import Scope
from ....access.token_file import CallerLimits, CallerToken
from ...callers.caller import Caller
from .oauth import OAuthVerifier
from .watched_file import WatchedTokenFile


class CallerAccessToken(AccessToken):
    """A verified token and its caller. The token's text is left out, because nobody needs it."""

    token: str = ""
    caller: InstanceOf[Caller]


@dataclass(frozen=True)
class CallerVerifier(TokenVerifier):
    """Verifies the tokens of a file, and the access tokens of an issuer."""

    file: WatchedTokenFile
    oauth: OAuthVerifier | None = None

    async def verify_token(self, token: str) -> CallerAccessToken | None:
        """Return the token's caller, or None if the token isn't valid.

        Raises:
            KeysUnavailableError: The issuer's keys are needed, and can't be fetched.
        """
        content = self.file.current()
        static = content.find(token)
        if static is not None:
            return _static_access(static)
        verified = await self.oauth.verify(token) if self.oauth is not None else None
        if verified is None:
            return None
        return CallerAccessToken(
            client_id=verified.client_id,
            subject=verified.subject,
            scopes=list(verified.scopes),
            expires_at=verified.expires_at,
            claims={"iss": verified.issuer},
            caller=_caller(verified.name, verified.scopes, content.limits_of(verified.name)),
        )


def _static_access(token: CallerToken) -> CallerAccessToken:
    # The SDK binds its questions to the client, so the name is one.
    return CallerAccessToken(
        client_id=token.name,
        scopes=list(token.scopes),
        caller=_caller(token.name, token.scopes, token.limits),
    )


def _caller(name: str, scopes: tuple[Scope, ...], limits: CallerLimits) -> Caller:
    return Caller(name, scopes, limits.max_price, limits.max_spend_per_day)
