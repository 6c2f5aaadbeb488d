"""Which texts can be an access token, whatever place they come from."""

import re

CREATE_TOKEN_STEP = (
    "Create a Personal Access Token at app.layer.ai > Settings > Personal Access Tokens."  # noqa: S105
)
MAX_TOKEN_LENGTH = 8192
FOREIGN_TOKENS = (
    ("sk-ant-", "a key of Anthropic"),
    ("sk-", "a key of OpenAI or another service"),
    ("ghp_", "a token of GitHub"),
    ("github_pat_", "a token of GitHub"),
    ("gho_", "a token of GitHub"),
    ("glpat-", "a token of GitLab"),
    ("xox", "a token of Slack"),
    ("hf_", "a token of Hugging Face"),
    ("AIza", "a key of Google"),
    ("AKIA", "a key of AWS"),
)


class InvalidTokenError(ValueError):
    """A text that isn't a token for Layer: the fact without the text, then the next step.

    `kind` is what the text is instead.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"That is {kind}, not a token of Layer. {CREATE_TOKEN_STEP}")
        self.kind = kind


def parse_token(text: str) -> str:
    """Return the token in a pasted text, without spaces, line ends, and quotes around it.

    Raises:
        InvalidTokenError: It isn't a token for Layer.
    """
    token = tidy_token(text)
    kind = _invalid_kind(token)
    if kind is not None:
        raise InvalidTokenError(kind)
    return token


def tidy_token(text: str) -> str:
    """Return a pasted text without spaces, line ends, quotes, and "Bearer" around it."""
    return text.strip().strip("\"'").strip().removeprefix("Bearer ").strip()


def fits_header(token: str) -> bool:
    """Return whether a token is one word of plain characters."""
    is_plain = token.isascii() and token.isprintable() and " " not in token
    return is_plain and len(token) <= MAX_TOKEN_LENGTH


def _invalid_kind(token: str) -> str | None:
    if not token:
        return "an empty text"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", token):
        return "an address"
    if token.startswith("$"):
        return "the name of a variable"
    if any(character.isspace() for character in token):
        return "more than one word"
    if not fits_header(token):
        return "a text with characters that a token cannot have"
    return next((kind for prefix, kind in FOREIGN_TOKENS if token.startswith(prefix)), None)
