"""Removing the token from text: every form is removed, and everything else stays."""

import pytest

from layer_mcp.text.redact import Redactor

from ..support.secret_forms import FORMS, traces

TOKEN = "pat_Zq7/hK+2mXw9=vB4_nT-8rLc6yEd1"
REDACTOR = Redactor(TOKEN)


@pytest.mark.parametrize("form", FORMS)
def test_removes_the_token_in_every_form(form: str) -> None:
    # Invisible characters are removed before.
    planted = FORMS[form](TOKEN).replace("\u200b", "")
    redacted = REDACTOR.redact(f"Invalid header: Bearer {planted} (request 17)").lower()
    assert [trace for trace in traces(TOKEN) if trace in redacted] == []
    assert "[token]" in redacted


@pytest.mark.parametrize("form", [form for form in FORMS if form != "lines"])
def test_keeps_the_words_around_the_token(form: str) -> None:
    planted = FORMS[form](TOKEN).replace("\u200b", "")
    redacted = REDACTOR.redact(f"Invalid header: {planted} (request 17)")
    assert redacted.startswith("Invalid header: ")
    assert redacted.endswith(" (request 17)")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A plain sentence.",
        "https://media.app.layer.ai/a%20b.png?sig=%2B%2F%3D&x=1&amp;y=2",
        "A back\\slash, a \\u0041, 100 % and &lt;b&gt; stay as they are in this text.",
        "TG9yZW0gaXBzdW0gZG9sb3Igc2l0IGFtZXQsIGNvbnNlY3RldHVy",
    ],
)
def test_text_without_the_token_stays_unchanged(text: str) -> None:
    assert REDACTOR.redact(text) == text


def test_text_that_is_still_encoded_after_many_rounds_is_hidden() -> None:
    planted = TOKEN
    for _ in range(10):
        planted = f"{planted}".replace("&", "&amp;").replace("/", "&#47;")
    assert REDACTOR.redact(f"See {planted}.") == "[token]"


@pytest.mark.parametrize("token", [None, "", "t", "dragon"])
def test_does_not_search_for_a_token_as_short_as_a_word(token: str | None) -> None:
    assert Redactor(token).redact("A dragon, and a text.") == "A dragon, and a text."


def test_the_token_does_not_show_in_a_repr() -> None:
    assert TOKEN not in repr(REDACTOR)
