"""The forms in which a host or a proxy may repeat a token."""

import html
import json
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Callable, Iterator
from urllib.parse import quote


def _percent(text: str) -> str:
    return "".join(f"%{ord(letter):02X}" for letter in text)


def _unicode_escapes(text: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


def _base64(before: str) -> Callable[[str], str]:
    return lambda token: b64encode(f"{before}{token}-after".encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "percent where needed": lambda token: quote(token, safe=""),
    "percent": _percent,
    "percent in lower case": lambda token: _percent(token).lower(),
    "double percent": lambda token: quote(_percent(token), safe=""),
    "triple percent": lambda token: quote(quote(_percent(token), safe=""), safe=""),
    "unicode escapes": _unicode_escapes,
    "escaped slashes": lambda token: token.replace("/", "\\/"),
    "JSON in JSON": lambda token: json.dumps(json.dumps(_unicode_escapes(token))),
    "HTML entities": lambda token: "".join(f"&#{ord(letter)};" for letter in token),
    "HTML": html.escape,
    "base64 of the header": _base64("Bearer "),
    "base64 at 0": _base64(""),
    "base64 at 1": _base64("a"),
    "base64 at 2": _base64("ab"),
    "URL-safe base64": lambda token: urlsafe_b64encode(f"Bearer {token}".encode()).decode(),
    "base64 in lines": lambda token: encodebytes(f"Bearer {token} {token}".encode()).decode(),
    "base64 in percent": lambda token: _percent(_base64("user:")(token)),
    "hex": lambda token: token.encode().hex(),
    "zero-width characters": "\u200b".join,
    "lines": lambda token: f"{token[:9]}\n{token[9:]}",
}


def traces(token: str) -> Iterator[str]:
    """Yield the lowercase texts that must not remain after the token is removed."""
    yield token.lower()
    yield token[8:24].lower()
    for before in ("", "a", "ab"):
        yield b64encode(f"{before}{token}".encode()).decode().lower()[12:28]
    yield token.encode().hex()[16:40]
    yield _percent(token).lower()[24:60]
    yield _unicode_escapes(token)[24:60]
