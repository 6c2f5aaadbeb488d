"""What a text must be to be a token of Layer; a wrong one is told by its kind, never shown."""

import re

CREATE_STEP = "Create a Personal Access Token at app.layer.ai > Settings > Personal Access Tokens."
MAX_LENGTH = 8192
FOREIGN = (
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


class TokenTextError(ValueError):
    """A text that is no token of Layer: the fact, then the next step."""


def token_of(text: str) -> str:
    """The token in a text that was pasted: without blanks, line ends and quotes around it.

    Raises:
        TokenTextError: it is none.
    """
    token = text.strip().strip("\"'").removeprefix("Bearer ").strip()
    kind = _wrong_kind(token)
    if kind is not None:
        raise TokenTextError(f"That is {kind}, not a token of Layer. {CREATE_STEP}")
    return token


def _wrong_kind(token: str) -> str | None:
    if not token:
        return "an empty text"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", token):
        return "an address"
    if token.startswith(("${", "$")):
        return "the name of a variable"
    if any(character.isspace() for character in token):
        return "more than one word"
    if len(token) > MAX_LENGTH or not token.isascii() or not token.isprintable():
        return "a text with characters that a token cannot have"
    return foreign_kind(token)


def foreign_kind(token: str) -> str | None:
    """Which other service a token is of, by how it begins; None when it may be Layer's."""
    return next((kind for start, kind in FOREIGN if token.startswith(start)), None)
