"""The settings of the HTTP server, from the environment and the options of `layer-mcp serve`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

from ...network import LOOPBACK_HOSTS, is_loopback
from ...settings import (
    SettingsError,
    declare_setting,
    parse_flag,
    parse_folder,
    parse_seconds,
    parse_text,
    read_settings,
)

Payer = Literal["server", "caller"]

DEFAULT_HOST = "127.0.0.1"
HTTP_PATH = "/mcp"
METRICS_PATH = "/metrics"
# In front of the sealed part of an upload URL.
UPLOADS_PATH = "/uploads/"
MIN_KEY_LENGTH = 32
DRAIN_SECONDS = 5
CALLS_PER_CALLER = 100


def parse_public_url(name: str, value: str) -> str:
    """Accept the address that clients use, without a path: https, or http on this machine."""
    url = value.rstrip("/").removesuffix(HTTP_PATH)
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or not url.isascii() or parts.path or parts.query or parts.fragment or "@" in url:
        raise SettingsError(
            f"{name} must be a URL without a path, such as https://mcp.example.com."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise SettingsError(f"{name} must start with https:// (http only for this machine).")
    return url.lower()


def parse_https_url(name: str, value: str) -> str:
    """Accept an https URL, or an http URL of this machine; its spelling is kept."""
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    is_private = parts.scheme == "http" and is_loopback(value)
    if not host or not value.isascii() or not (parts.scheme == "https" or is_private):
        raise SettingsError(f"{name} must be an https URL.")
    return value


def parse_payer(name: str, value: str) -> Payer:
    """Accept whose Layer account pays."""
    for payer in get_args(Payer):
        if value.lower() == payer:
            return payer
    raise SettingsError(f"{name} must be server or caller.")


def parse_keys(name: str, value: str) -> tuple[str, ...]:
    """Accept secrets of at least 32 characters, the newest first, separated by commas."""
    keys = tuple(value.replace(",", " ").split())
    if not keys or any(len(key) < MIN_KEY_LENGTH for key in keys):
        raise SettingsError(
            f"{name} must be a random text of at least {MIN_KEY_LENGTH} characters, such as the "
            "output of: openssl rand -hex 32."
        )
    return keys


def parse_port(name: str, value: str) -> int:
    """Accept a TCP port, or 0 for any free one."""
    if value.isascii() and value.isdigit() and len(value) <= 5 and int(value) <= 65535:
        return int(value)
    raise SettingsError(f"{name} must be a port from 0 to 65535.")


def parse_calls(name: str, value: str) -> int:
    """Accept a number of calls."""
    if value.isascii() and value.isdigit() and len(value) <= 4 and 1 <= int(value) <= 1000:
        return int(value)
    raise SettingsError(f"{name} must be a number of calls from 1 to 1000.")


@dataclass(frozen=True)
class HttpSettings:
    """How the server is reached over HTTP, who may call it, and who pays."""

    host: str = declare_setting(
        "LAYER_HTTP_HOST",
        default=DEFAULT_HOST,
        parse=parse_text,
        help="Address to listen on. Anything but this machine needs authentication.",
    )
    public_url: str | None = declare_setting(
        "LAYER_PUBLIC_URL",
        default=None,
        parse=parse_public_url,
        help="Address that clients use, such as `https://mcp.example.com`. Requests to other hosts "
        "are refused.",
    )
    trust_proxy: bool = declare_setting(
        "LAYER_TRUST_PROXY",
        default=False,
        parse=parse_flag,
        help="`1` takes the client's address from `X-Forwarded-For`. Set it only behind a proxy "
        "that replaces this header.",
    )
    tokens_file: str | None = declare_setting(
        "LAYER_TOKENS_FILE",
        default=None,
        parse=parse_folder,
        help="File of the tokens that callers may use; `layer-mcp tokens` writes it.",
    )
    oauth_issuer: str | None = declare_setting(
        "LAYER_OAUTH_ISSUER",
        default=None,
        parse=parse_https_url,
        help="Issuer of the access tokens that callers may use (OAuth 2.1).",
    )
    oauth_audience: str | None = declare_setting(
        "LAYER_OAUTH_AUDIENCE",
        default=None,
        parse=parse_text,
        help="Audience that access tokens must name. Default: the public URL with `/mcp`.",
    )
    oauth_jwks_url: str | None = declare_setting(
        "LAYER_OAUTH_JWKS_URL",
        default=None,
        parse=parse_https_url,
        help="Address of the issuer's keys. Default: the one in the issuer's metadata.",
    )
    payer: Payer = declare_setting(
        "LAYER_PAYER",
        default="server",
        parse=parse_payer,
        help="`caller` makes each request bring its own Layer key in `X-Layer-Api-Key` or "
        "`X-API-Key`. `server` uses the server's own account for all callers.",
    )
    server_keys: tuple[str, ...] = declare_setting(
        "LAYER_SERVER_KEYS",
        default=(),
        parse=parse_keys,
        help="Secret that replicas share to seal questions and upload links; several are separated "
        "by commas, the newest first. Default: a new one at every start.",
        secret=True,
    )
    allow_disk: bool = declare_setting(
        "LAYER_HTTP_DISK",
        default=False,
        parse=parse_flag,
        help="`1` lets callers save outputs on the server's disk and upload files from there.",
    )
    calls_per_caller: int = declare_setting(
        "LAYER_CALLS_PER_CALLER",
        default=CALLS_PER_CALLER,
        parse=parse_calls,
        help="Most calls that one caller can have at the same time; further ones get status 429. "
        f"Default: `{CALLS_PER_CALLER}`.",
    )
    drain_seconds: int = declare_setting(
        "LAYER_DRAIN_SECONDS",
        default=DRAIN_SECONDS,
        parse=parse_seconds,
        help="Seconds from SIGTERM, when `/readyz` starts to fail, until the server stops taking "
        f"requests. A server for this machine alone doesn't wait. Default: `{DRAIN_SECONDS}`.",
    )
    access_log: bool | None = declare_setting(
        "LAYER_ACCESS_LOG",
        default=None,
        parse=parse_flag,
        help="`1` writes a line of JSON to stderr for each request, `0` doesn't. Default: `1`, or "
        "`0` on a server for this machine alone.",
    )
    metrics_port: int | None = declare_setting(
        "LAYER_METRICS_PORT",
        default=None,
        parse=parse_port,
        help="Port of `/metrics` for Prometheus, which needs no token: don't publish it. Needs "
        "`layer-mcp[metrics]`. Default: no metrics.",
    )
    is_insecure: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "HttpSettings":
        """Read the settings; an empty value, `null`, or an unsubstituted `${...}` means unset.

        Raises:
            SettingsError: A value is invalid.
        """
        return cls(**read_settings(cls, environ))

    @property
    def authenticates(self) -> bool:
        """Whether callers need a token."""
        return self.tokens_file is not None or self.oauth_issuer is not None

    @property
    def is_for_a_team(self) -> bool:
        """Whether others than the user of this machine may call."""
        return self.authenticates or self.is_insecure or self.payer == "caller"

    @property
    def writes_access_log(self) -> bool:
        """Whether each request is logged."""
        return self.is_for_a_team if self.access_log is None else self.access_log


def check_http_settings(http: HttpSettings) -> None:
    """Refuse settings that would let strangers spend.

    Raises:
        SettingsError: The server would listen on a network without authentication.
    """
    if http.authenticates or http.is_insecure:
        return
    is_local = http.host in LOOPBACK_HOSTS
    is_public = http.public_url is not None and not is_loopback(http.public_url)
    if not is_local or is_public:
        raise SettingsError(
            "A server that others can reach needs authentication: set LAYER_TOKENS_FILE or "
            "LAYER_OAUTH_ISSUER, or add --insecure-no-auth."
        )
