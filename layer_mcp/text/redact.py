"""Remove the access token from text, in every form that a host may repeat it in."""

import re
from base64 import b64encode
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import unquote

REPLACEMENT = "[token]"
# Removing a shorter one would also remove parts of ordinary words.
MIN_TOKEN_LENGTH = 8
MAX_ENCODINGS = 8

REPEATED_PERCENT = re.compile("%(?:25)+")
ESCAPE = re.compile(r"""\\(?:u([0-9a-f]{4})|x([0-9a-f]{2})|(["'/\\]))""", re.IGNORECASE)
# The token may be split across lines.
REST_OF_BASE64 = r"[A-Za-z0-9+/_=\r\n-]*"


@dataclass(frozen=True)
class Redactor:
    """Removes a token from text; without a token, text is unchanged."""

    token: str | None = field(default=None, repr=False)

    def redact(self, text: str) -> str:
        """Return text without the token, whether plain, escaped, or in percent, base64, or hex.

        If the token was escaped, the rest of the text is unescaped too.
        """
        if self._secret is None or len(text) < len(self._secret):
            return text
        text = decoded = self._remove(text)
        for _ in range(MAX_ENCODINGS):
            escaped, decoded = decoded, _decode_once(decoded)
            if decoded == escaped:
                return text if not self._is_broken_up(decoded) else REPLACEMENT
            without = self._remove(decoded)
            if without != decoded:
                text = decoded = without
        # Honest text is never encoded this often, so its content can't be trusted.
        return REPLACEMENT

    def may_hold(self, text: str) -> bool:
        """Return whether text contains the token in an unescaped form."""
        if self._secret is None:
            return False
        lower = text.lower()
        return any(form in lower for form in self._plain_forms) or any(
            form in text for form in self._base64_forms
        )

    @cached_property
    def _secret(self) -> str | None:
        has_token = self.token is not None and len(self.token) >= MIN_TOKEN_LENGTH
        return self.token if has_token else None

    @cached_property
    def _plain_forms(self) -> tuple[str, ...]:
        """Return the lowercase forms that are matched in any case."""
        secret = self._secret or ""
        return secret.lower(), secret.encode().hex()

    @cached_property
    def _base64_forms(self) -> tuple[str, ...]:
        """Return what the base64 of any text with the token contains, by the token's position."""
        forms: list[str] = []
        secret = (self._secret or "").encode()
        for before in range(3):
            encoded = b64encode(bytes(before) + secret).decode()
            # Only characters that depend on nothing before or after the token.
            form = encoded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
            forms += [form, form.replace("+", "-").replace("/", "_")]
        return tuple(dict.fromkeys(forms))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        plain = "|".join(map(re.escape, self._plain_forms))
        base64 = "|".join(map(re.escape, self._base64_forms))
        return re.compile(f"(?i:{plain})|(?:{base64}){REST_OF_BASE64}")

    def _remove(self, text: str) -> str:
        return self._pattern.sub(REPLACEMENT, text) if self.may_hold(text) else text

    def _is_broken_up(self, text: str) -> bool:
        """Return whether the text contains the token with spaces or line breaks in it."""
        parts = text.split()
        return len(parts) > 1 and self.may_hold("".join(parts))


def _decode_once(text: str) -> str:
    """Return text without one layer of percent-encoding, backslashes, and HTML entities."""
    if "%" in text:
        text = unquote(REPEATED_PERCENT.sub("%", text), errors="replace")
    if "\\" in text:
        text = ESCAPE.sub(_unescape, text)
    if "&" in text:
        # Its table of names is large, and hardly any text needs it.
        from html import unescape  # noqa: PLC0415

        text = unescape(text)
    return text


def _unescape(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else found[3]
