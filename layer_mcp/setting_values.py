"""How the text of a setting becomes its value; each function raises SettingsError by name."""

import math
import os
import re
from typing import Literal, get_args
from urllib.parse import urlsplit

from .network import is_loopback

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
JournalPolicy = Literal["required", "optional"]
TRUE_WORDS = ("1", "true", "yes", "on")
FALSE_WORDS = ("0", "false", "no", "off")

Toolset = Literal["generate", "models", "files", "workflows"]
TOOLSETS: tuple[Toolset, ...] = get_args(Toolset)
DEFAULT_TOOLSETS: tuple[Toolset, ...] = ("generate", "models", "files")
MAX_FILE_MB = 100_000
NO_WORDS = ("", "null", "undefined")
HOST_HOME = re.compile(r"\$\{HOME\}(?=[/\\])")
HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


class SettingsError(ValueError):
    """A setting that cannot be used; the text names it and what it must be."""


def is_given(value: str) -> bool:
    """Whether a value says something: Claude Desktop leaves `${...}` where it has none."""
    stripped = value.strip()
    is_placeholder = stripped.startswith("${") and stripped.endswith("}")
    return stripped not in NO_WORDS and not is_placeholder


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


def text(_name: str, value: str) -> str:
    """Any text."""
    return value


def token(name: str, value: str) -> str:
    """One word that can stand in a header."""
    if not value.isascii() or not value.isprintable() or " " in value:
        raise SettingsError(f"{name} must be one word of plain characters.")
    return value


def api_url(_name: str, value: str) -> str:
    """The API's address."""
    return normal_api_url(value)


def toolsets_of(name: str, value: str) -> tuple[Toolset, ...]:
    """The groups that a list of names chooses, in the order of their declaration.

    Raises:
        SettingsError: a name that is no group.
    """
    wanted: set[str] = set()
    for word in value.replace(",", " ").lower().split():
        if word == "all":
            wanted.update(TOOLSETS)
        elif word == "default":
            wanted.update(DEFAULT_TOOLSETS)
        elif word in TOOLSETS:
            wanted.add(word)
        else:
            groups = ", ".join((*TOOLSETS, "default"))
            raise SettingsError(f"{name} may name {groups} or all, separated by commas.")
    if not wanted:
        raise SettingsError(f"{name} must name at least one group of tools.")
    return tuple(group for group in TOOLSETS if group in wanted)


def folder(name: str, value: str) -> str:
    """The path of a folder, as written.

    A `${HOME}` at its start, which Claude Desktop leaves in a default value, is `~`.
    """
    path = f"~{value[len('${HOME}') :]}" if HOST_HOME.match(value) else value
    if "\0" in path or "${" in path:
        raise SettingsError(f"{name} must be the path of a folder.")
    return path


def folders(name: str, value: str) -> tuple[str, ...]:
    """Several folders, separated as in PATH."""
    named = tuple(folder(name, part.strip()) for part in value.split(os.pathsep) if part.strip())
    if not named:
        raise SettingsError(f"{name} must name at least one folder.")
    return named


def hosts(name: str, value: str) -> tuple[str, ...]:
    """Host names, separated by commas or spaces."""
    hosts = tuple(value.replace(",", " ").lower().split())
    if not all(HOST_NAME.fullmatch(host) for host in hosts):
        raise SettingsError(f"{name} must be host names, without https:// and paths.")
    return hosts


def megabytes(name: str, value: str) -> int:
    """A whole number of MB."""
    if value.isascii() and value.isdigit() and len(value) <= 6 and 1 <= int(value) <= MAX_FILE_MB:
        return int(value)
    raise SettingsError(f"{name} must be a whole number of MB from 1 to {MAX_FILE_MB}.")


def creative_units(name: str, value: str) -> float:
    """A number of Creative Units, 0 or more."""
    try:
        amount = float(value)
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and amount >= 0):
        raise SettingsError(f"{name} must be a number of Creative Units, 0 or more.")
    return amount


def journal_policy(name: str, value: str) -> JournalPolicy:
    """Whether runs may be started without a journal."""
    for policy in get_args(JournalPolicy):
        if value.lower() == policy:
            return policy
    raise SettingsError(f"{name} must be one of {', '.join(get_args(JournalPolicy))}.")


def flag(name: str, value: str) -> bool:
    """A switch."""
    if value.lower() in TRUE_WORDS:
        return True
    if value.lower() in FALSE_WORDS:
        return False
    raise SettingsError(f"{name} must be 1 or 0.")


def seconds(name: str, value: str) -> int:
    """A whole number of seconds, at most an hour."""
    if value.isascii() and value.isdigit() and len(value) <= 4 and int(value) <= 3600:
        return int(value)
    raise SettingsError(f"{name} must be a whole number of seconds from 0 to 3600.")


def log_level(name: str, value: str) -> LogLevel:
    """The name of a log level."""
    for level in get_args(LogLevel):
        if value.upper() == level:
            return level
    raise SettingsError(f"{name} must be one of {', '.join(get_args(LogLevel))}.")
