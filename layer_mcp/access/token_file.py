"""The file of tokens that callers of the HTTP server may use, and their limits.

    [tokens."alice@example.com"]
    sha256 = "..."
    scopes = ["layer:read", "layer:spend"]
    max_price = 20
    max_spend_per_day = 100
    created = 2026-01-31

    [callers."*"]
    max_spend_per_day = 50

A table in `callers` has the limits of a caller that logs in with OAuth, by the name that the server
gives it; `*` is for those without a table. Limits are in Creative Units.
"""

import datetime
import hashlib
import hmac
import math
import os
import re
import stat
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..settings import MAX_CREATIVE_UNITS, SettingsError
from ..text.plain_text import quote
from .scopes import SCOPES, Scope, granted_scopes

MAX_FILE_BYTES = 4_000_000
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
SHA256 = re.compile(r"[0-9a-f]{64}")
ANY_CALLER = "*"
ALLOWED_NAMES = "1 to 64 letters, digits, or . _ @ -"

TABLES = ("tokens", "callers")
LIMIT_KEYS = ("max_price", "max_spend_per_day")
TOKEN_KEYS = ("sha256", "scopes", *LIMIT_KEYS, "created")
# As the standard library's TOML parser words them.
TWICE = re.compile(r"Cannot declare \('tokens', '(.*)'\) twice")
LINE = re.compile(r"\(at line (\d+), column \d+\)")


class InvalidEntryError(ValueError):
    """A problem of an entry, as the end of a sentence."""


@dataclass(frozen=True)
class CallerLimits:
    """A caller's limits in Creative Units; None means no limit but the server's."""

    max_price: float | None = None
    max_spend_per_day: float | None = None


@dataclass(frozen=True)
class CallerToken:
    """A token that a caller may use."""

    name: str
    sha256: str = field(repr=False)
    scopes: tuple[Scope, ...] = SCOPES
    limits: CallerLimits = CallerLimits()
    created: datetime.date | None = None


@dataclass(frozen=True)
class TokenFile:
    """The content of the file: tokens, and the limits of callers without one."""

    tokens: tuple[CallerToken, ...] = ()
    callers: Mapping[str, CallerLimits] = field(default_factory=dict[str, CallerLimits])

    def find(self, token: str) -> CallerToken | None:
        """Return the entry of a token, or None. The time it takes doesn't depend on the token."""
        digest = hash_token(token)
        found = None
        for known in self.tokens:
            if hmac.compare_digest(known.sha256, digest):
                found = known
        return found

    def limits_of(self, name: str) -> CallerLimits:
        """Return the limits of a caller that has no token in the file."""
        return self.callers.get(name) or self.callers.get(ANY_CALLER) or CallerLimits()


def hash_token(token: str) -> str:
    """Return what the file keeps of a token.

    A token has 256 random bits. Nobody can guess one, so a slow hash with a salt, as for passwords,
    would only cost time at each request.
    """
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def default_token_file() -> Path:
    """Return the file that `layer-mcp tokens` uses if none is given.

    Raises:
        SettingsError: The user has no home folder.
    """
    import platformdirs  # noqa: PLC0415

    try:
        folder = platformdirs.user_config_path("layer-mcp", appauthor=False)
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():
        raise SettingsError("There is no home folder; pass --file, or set LAYER_TOKENS_FILE.")
    return folder / "tokens.toml"


def read_token_file(path: Path) -> TokenFile:
    """Read and check the file.

    Raises:
        SettingsError: It's missing, invalid, or others can read or write it.
    """
    with open_token_file(path) as file:
        return parse_token_file(path, file.read(MAX_FILE_BYTES + 1))


def open_token_file(path: Path) -> BinaryIO:
    """Open the file if it's a regular file that only its owner can use.

    Raises:
        SettingsError: It isn't, or it can't be read.
    """
    try:
        # Opening a named pipe would otherwise wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise SettingsError(
            f"The tokens file {path} doesn't exist; create it with layer-mcp tokens add NAME."
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SettingsError(f"The tokens file {path} is not a regular file; name one.")
        if sys.platform != "win32" and is_shared(status.st_mode, status.st_uid, os.geteuid()):
            raise SettingsError(
                f"Other users can read or write the tokens file {path}; run chmod 600 on it."
            )
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def is_shared(mode: int, owner: int, user: int) -> bool:
    """Return whether others than its owner can use a file.

    The group may read a file of root: that is how Kubernetes and systemd give a file to a service.
    """
    allowed = stat.S_IRGRP if owner == 0 and user != 0 else 0
    return bool(mode & (stat.S_IRWXG | stat.S_IRWXO) & ~allowed)


def parse_token_file(path: Path, raw: bytes) -> TokenFile:
    """Return the content of the file; an empty file has no tokens.

    Raises:
        SettingsError: It's too large, not TOML, or has an invalid entry.
    """
    if len(raw) > MAX_FILE_BYTES:
        raise SettingsError(f"The tokens file {path} is larger than {MAX_FILE_BYTES:,} bytes.")
    text = ""
    try:
        text = raw.decode("utf-8-sig")
        content = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"The tokens file {path} isn't UTF-8 in line {line}; save it as UTF-8."
        ) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"The tokens file {path} {_describe_syntax(error, text)}.") from None
    try:
        return _parse_content(content)
    except InvalidEntryError as error:
        raise SettingsError(f"The tokens file {path} has {error}.") from None


def parse_token_name(name: str) -> str:
    """Accept the name of a token.

    Raises:
        InvalidEntryError: It has characters that aren't allowed.
    """
    if not NAME.fullmatch(name):
        raise InvalidEntryError(f"the name {quote(name)}; names are {ALLOWED_NAMES}")
    return name


def _describe_syntax(error: Exception, text: str) -> str:
    twice = TWICE.search(f"{error}")
    if twice:
        return f"has two tokens with the name {quote(twice[1])}; remove or rename one"
    line = LINE.search(f"{error}")
    last = text.count("\n") + 1
    return f"isn't valid TOML in line {line[1] if line else last}; correct that line"


def _parse_content(content: Mapping[str, object]) -> TokenFile:
    _check_keys(content, TABLES, "at its top")
    tokens = tuple(
        _parse_token(parse_token_name(name), _as_table(table, f"tokens.{name}"))
        for name, table in _as_table(content.get("tokens", {}), "tokens").items()
    )
    callers = {
        name: _parse_limits(_as_table(table, f"callers.{name}"), name, LIMIT_KEYS)
        for name, table in _as_table(content.get("callers", {}), "callers").items()
    }
    names = [token.name.lower() for token in tokens]
    _refuse_equal(names, "two tokens whose names differ only in upper and lower case; rename one")
    _refuse_equal(
        [token.sha256 for token in tokens], "one sha256 in two tables; create a token for each"
    )
    return TokenFile(tokens, callers)


def _parse_token(name: str, table: Mapping[str, object]) -> CallerToken:
    limits = _parse_limits(table, name, TOKEN_KEYS)
    sha256, scopes, created = (table.get(key) for key in ("sha256", "scopes", "created"))
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256.lower()):
        raise InvalidEntryError(f"no valid sha256 for {name}: it must be 64 hexadecimal digits")
    words = cast("list[object]", scopes) if isinstance(scopes, list) else []
    unknown = next((word for word in words if word not in SCOPES), None)
    if not words or unknown is not None:
        known = " and ".join(SCOPES)
        raise InvalidEntryError(f"invalid scopes for {name}: they must be a list of {known}")
    if created is not None and not isinstance(created, datetime.date):
        raise InvalidEntryError(
            f"an invalid created for {name}: it must be a date such as 2026-01-31"
        )
    granted = granted_scopes([f"{word}" for word in words])
    return CallerToken(name, sha256.lower(), granted, limits, created)


def _parse_limits(table: Mapping[str, object], name: str, keys: tuple[str, ...]) -> CallerLimits:
    _check_keys(table, keys, f"for {quote(name)}")
    return CallerLimits(*(_parse_amount(table, key, name) for key in LIMIT_KEYS))


def _parse_amount(table: Mapping[str, object], key: str, name: str) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        value = math.nan
    if not 0 <= value <= MAX_CREATIVE_UNITS:
        raise InvalidEntryError(
            f"an invalid {key} for {quote(name)}: it must be 0 to {MAX_CREATIVE_UNITS:,}"
        )
    return float(value)


def _as_table(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidEntryError(f"a value instead of a table at {quote(name)}")
    return cast("Mapping[str, Any]", value)


def _check_keys(table: Mapping[str, object], known: tuple[str, ...], place: str) -> None:
    unknown = next((key for key in table if key not in known), None)
    if unknown is not None:
        raise InvalidEntryError(
            f"an unknown key {quote(unknown)} {place}; the keys are {', '.join(known)}"
        )


def _refuse_equal(values: list[str], problem: str) -> None:
    if len(set(values)) < len(values):
        raise InvalidEntryError(problem)


def _unreadable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"The tokens file {path} can't be read: {error.strerror}; "
        "let the user who runs the server read it."
    )
