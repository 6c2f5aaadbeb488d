"""Which texts can be an access token, whatever place they come from."""

import re

CREATE_TOKEN_STEP = (
    "Create a Personal Access Token at app.layer.ai > Settings > Personal Access Tokens."  # noqa: S105
)
# A header, or a line of a shell or of a file with settings.
PASTED = re.compile(
    r"(?:(?:export|set)\s+|\$env:)?LAYER_\w+\s*=\s*|(?:Authorization:\s*)?Bearer\s+", re.IGNORECASE
)
OTHER_TEXTS = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE), "an ID"),
    (re.compile(r"\S+@\S+"), "an email address"),
)
MAX_TOKEN_LENGTH = 8192
FOREIGN_TOKENS = (
    ("sk-ant-", "an Anthropic key"),
    ("sk-", "a key of OpenAI or another service"),
    ("ghp_", "a GitHub token"),
    ("github_pat_", "a GitHub token"),
    ("gho_", "a GitHub token"),
    ("glpat-", "a GitLab token"),
    ("xox", "a Slack token"),
    ("hf_", "a Hugging Face token"),
    ("AIza", "a Google key"),
    ("AKIA", "an AWS key"),
)

PREFIXES = "|".join(re.escape(prefix) for prefix in ("pat_", *(one for one, _ in FOREIGN_TOKENS)))
TOKEN = re.compile(rf"(?<![A-Za-z0-9])(?:{PREFIXES})")


class InvalidTokenError(ValueError):
    """A text that isn't a token for Layer: the fact without the text, then the next step.

    `kind` is what the text is instead.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"That's {kind}, not a Layer token. {CREATE_TOKEN_STEP}")
        self.kind = kind


def parse_token(text: str) -> str:
    """Return the token in a pasted text, without what is often copied with it.

    Raises:
        InvalidTokenError: It isn't a token for Layer.
    """
    token = tidy_token(_without_name(text))
    other = next((kind for pattern, kind in OTHER_TEXTS if pattern.fullmatch(token)), None)
    kind = other or _invalid_kind(token)
    if kind is not None:
        raise InvalidTokenError(kind)
    return token


def tidy_token(text: str) -> str:
    """Return a pasted text without spaces, line ends, quotes, and "Bearer" around it."""
    return text.strip().strip("\"'").strip().removeprefix("Bearer ").strip()


def contains_token(text: str) -> bool:
    """Return whether a part of a text looks like a token, of Layer or of another service."""
    return TOKEN.search(text) is not None


def fits_header(token: str) -> bool:
    """Return whether a token is one word of plain characters."""
    is_plain = token.isascii() and token.isprintable() and " " not in token
    return is_plain and len(token) <= MAX_TOKEN_LENGTH


def _without_name(text: str) -> str:
    text = text.strip().strip("\"'`")
    named = PASTED.match(text)
    return text[named.end() :] if named else text


def _invalid_kind(token: str) -> str | None:
    if not token:
        return "empty text"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", token):
        return "a URL"
    if token.startswith("$"):
        return "the name of a variable"
    if any(character.isspace() for character in token):
        return "more than one word"
    if not fits_header(token):
        return "text with characters that a token can't have"
    return next((kind for prefix, kind in FOREIGN_TOKENS if token.startswith(prefix)), None)
