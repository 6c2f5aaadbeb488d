"""Settings from the environment. The token never shows in a repr."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

from .loopback import is_loopback

DEFAULT_API_URL = "https://api.app.layer.ai/api"
DEFAULT_MAX_WAIT_SECONDS = 45
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
TRUE_WORDS = ("1", "true", "yes", "on")
FALSE_WORDS = ("0", "false", "no", "off")


class SettingsError(ValueError):
    """A setting that cannot be used; the text names it and what it must be."""


@dataclass(frozen=True)
class Settings:
    """Everything that the environment can set; one field a setting."""

    api_token: str | None = field(
        default=None,
        repr=False,
        metadata={
            "names": ("LAYER_API_KEY", "LAYER_API_TOKEN", "LAYER_TOKEN"),
            "help": "Personal Access Token from app.layer.ai > Settings.",
        },
    )
    workspace: str | None = field(
        default=None,
        metadata={
            "names": ("LAYER_WORKSPACE_ID", "LAYER_WORKSPACE"),
            "help": "Workspace: id, slug or name. Not needed when the account has one.",
        },
    )
    api_url: str = field(
        default=DEFAULT_API_URL,
        metadata={
            "names": ("LAYER_API_URL",),
            "help": "Address of the API, with or without `/v1`.",
        },
    )
    sandbox: bool = field(
        default=False,
        metadata={
            "names": ("LAYER_SANDBOX",),
            "help": "`1` uses a simulated Layer: no account, no charge.",
        },
    )
    max_wait_seconds: int = field(
        default=DEFAULT_MAX_WAIT_SECONDS,
        metadata={
            "names": ("LAYER_MAX_WAIT_SECONDS",),
            "help": "Longest wait of one call, 0 to 3600.",
        },
    )
    log_level: LogLevel = field(
        default="WARNING",
        metadata={
            "names": ("LAYER_LOG_LEVEL",),
            "help": "DEBUG, INFO, WARNING, ERROR or CRITICAL; logs go to stderr.",
        },
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; an empty value or an unsubstituted `${...}` means unset.

        Raises:
            SettingsError: a value that cannot be used.
        """
        return cls(
            api_token=_token(_first(environ, _names("api_token"))),
            workspace=_first(environ, _names("workspace")),
            api_url=normal_api_url(_first(environ, _names("api_url")) or DEFAULT_API_URL),
            sandbox=_flag("LAYER_SANDBOX", _first(environ, _names("sandbox")) or "0"),
            max_wait_seconds=_seconds(
                "LAYER_MAX_WAIT_SECONDS",
                _first(environ, _names("max_wait_seconds")) or str(DEFAULT_MAX_WAIT_SECONDS),
            ),
            log_level=_log_level(_first(environ, _names("log_level")) or "WARNING"),
        )


def refuse_paid_sandbox(settings: Settings) -> None:
    """Make sure that who wants the sandbox gets one.

    Raises:
        SettingsError: the sandbox is wanted, but the address is not one; a run would be paid.
    """
    if settings.sandbox and not is_loopback(settings.api_url):
        raise SettingsError(
            "LAYER_SANDBOX needs a sandbox: start layer-mcp sandbox and set what it prints."
        )


def _names(attribute: str) -> tuple[str, ...]:
    return Settings.__dataclass_fields__[attribute].metadata["names"]


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = environ.get(name, "").strip()
        if value and not (value.startswith("${") and value.endswith("}")):
            return value
    return None


def _one_of(attribute: str) -> str:
    *names, last = _names(attribute)
    return f"{', '.join(names)} or {last}" if names else last


def _token(value: str | None) -> str | None:
    if value is None:
        return None
    if not value.isascii() or not value.isprintable() or " " in value:
        raise SettingsError(f"{_one_of('api_token')} must be one word of plain characters.")
    return value


def normal_api_url(value: str) -> str:
    """An address of the API without `/v1` and slashes at its end.

    Raises:
        SettingsError: not an https address, or http to another machine.
    """
    url = value.rstrip("/").removesuffix("/v1").rstrip("/")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise SettingsError("LAYER_API_URL must be plain ASCII without spaces.")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("LAYER_API_URL is not an address.") from None
    if not host or parts.query or parts.fragment or parts.username or parts.password:
        raise SettingsError("LAYER_API_URL must be an https address without user name or query.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise SettingsError("LAYER_API_URL must start with https:// (http only for this machine).")
    return url


def _flag(name: str, value: str) -> bool:
    if value.lower() in TRUE_WORDS:
        return True
    if value.lower() in FALSE_WORDS:
        return False
    raise SettingsError(f"{name} must be 1 or 0.")


def _seconds(name: str, value: str) -> int:
    if value.isascii() and value.isdigit() and len(value) <= 4 and int(value) <= 3600:
        return int(value)
    raise SettingsError(f"{name} must be a whole number of seconds from 0 to 3600.")


def _log_level(value: str) -> LogLevel:
    for level in get_args(LogLevel):
        if value.upper() == level:
            return level
    raise SettingsError(f"LAYER_LOG_LEVEL must be one of {', '.join(get_args(LogLevel))}.")
