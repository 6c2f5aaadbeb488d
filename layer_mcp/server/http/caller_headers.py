"""Read the headers with which a caller brings its Layer key, or narrows what it sees."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from starlette.types import ASGIApp, Receive, Scope, Send

from ...settings import (
    SettingsError,
    is_given,
    parse_flag,
    parse_token,
    parse_toolsets,
    tidy_value,
)
from ..callers.caller import CALLER_KEY, KEY_HEADERS, Caller
from .refusal import refusal
from .settings import HttpSettings

TOOLSETS_HEADER = "X-Layer-Toolsets"
READ_ONLY_HEADER = "X-Layer-Read-Only"
KEY_NAMES = frozenset(name.lower().encode() for name in KEY_HEADERS)


def read_caller_headers(app: ASGIApp, http: HttpSettings) -> ASGIApp:
    """Return an application whose requests have a caller with what its headers say.

    A Layer key counts only if callers pay, and is removed from the headers in any case. The other
    headers can only narrow what the caller sees.
    """

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        try:
            caller = _read_caller(scope, brings_key=http.payer == "caller")
        except SettingsError as error:
            await refusal(400, str(error))(scope, receive, send)
            return
        headers = [one for one in scope["headers"] if one[0] not in KEY_NAMES]
        await app({**scope, "headers": headers, CALLER_KEY: caller}, receive, send)

    return read


def _read_caller(scope: Scope, *, brings_key: bool) -> Caller:
    """Return the caller of a request.

    Raises:
        SettingsError: A header is invalid, or there twice.
    """
    caller: Caller = scope.get(CALLER_KEY) or Caller()
    names = (TOOLSETS_HEADER, READ_ONLY_HEADER, *(KEY_HEADERS if brings_key else ()))
    given = _read_headers(scope["headers"], names)
    key = next((name for name in KEY_HEADERS if name in given), None)
    wanted, is_read_only = given.get(TOOLSETS_HEADER), given.get(READ_ONLY_HEADER)
    toolsets = parse_toolsets(TOOLSETS_HEADER, wanted) if wanted else None
    return replace(
        caller,
        layer_key=parse_token(key, given[key]) if key else None,
        toolsets=toolsets,
        is_read_only=is_read_only is not None and parse_flag(READ_ONLY_HEADER, is_read_only),
    )


def _read_headers(
    headers: Collection[tuple[bytes, bytes]], names: Collection[str]
) -> Mapping[str, str]:
    """Return the values of these headers; an empty or unsubstituted one isn't given."""
    given: dict[str, str] = {}
    for name in names:
        values = [value for key, value in headers if key == name.lower().encode()]
        if len(values) > 1:
            raise SettingsError(f"{name} must be sent only once.")
        text = values[0].decode("latin-1") if values else ""
        if is_given(text):
            given[name] = tidy_value(text)
    return given
