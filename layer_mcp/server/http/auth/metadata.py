"""Where clients learn which issuer gives out access tokens (RFC 9728)."""

from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter
from starlette.routing import Route

from ....access.scopes import SCOPES

ROOT_PATH = "/.well-known/oauth-protected-resource"


def metadata_url(resource_url: str) -> str:
    """Return the address of the metadata of a resource."""
    return str(build_resource_metadata_url(_parse_url(resource_url)))


def metadata_routes(resource_url: str, issuer: str) -> list[Route]:
    """Return the routes of the metadata: at the path of the resource, and at the root.

    Some clients look only at the root.
    """
    [route] = create_protected_resource_routes(
        _parse_url(resource_url),
        [_parse_url(issuer)],
        scopes_supported=list(SCOPES),
        resource_name="Layer",
    )
    return [route, Route(ROOT_PATH, route.endpoint, methods=["GET", "OPTIONS"])]


def _parse_url(url: str) -> AnyHttpUrl:
    # Clients compare an issuer's URL as text, so no slash may be added.
    config = ConfigDict(url_preserve_empty_path=True)
    return TypeAdapter(AnyHttpUrl, config=config).validate_python(url)
