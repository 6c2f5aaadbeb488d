"""Entries in YAML: the data changes as asked, and every other byte stays."""

from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given

from layer_mcp.clients import yaml
from layer_mcp.clients.errors import ConfigSyntaxError, NotEditableError

from ..support.config_strategies import ENTRIES, ENTRY, with_entry

KEY = "extensions"
FILES = [
    "",
    "a: 1",
    "# mine\na: 1\n# end\n",
    "extensions: {}\n",
    "extensions:\n",
    "extensions: ~ # none\nb: 2\n",
    "extensions:\n  # dev\n  dev:\n    type: builtin # x\n\n# tail\nb: 2\n",
    "extensions: {dev: {type: builtin}}\nb: 1\n",
    "{}",
    '{"a": 1}',
    "extensions:\n    x:\n      t: |\n        a\n        b\n\nother: 1",
    "a: 1\r\nextensions:\r\n  x:\r\n    y: 1\r\n",
    "{extensions: null, b: 1}",
]


def set_layer(text: str, entry: dict[str, Any]) -> str:
    return yaml.set_entry(text, KEY, "layer", entry)


@pytest.mark.parametrize("text", FILES)
def test_adding_an_entry_keeps_all_other_data(text: str) -> None:
    after = set_layer(text, ENTRY)
    assert pyyaml.safe_load(after) == with_entry(yaml.parse(text), KEY, ENTRY)


@pytest.mark.parametrize("text", FILES)
def test_replacing_an_entry_keeps_its_place(text: str) -> None:
    changed: dict[str, Any] = {**ENTRY, "args": []}
    before = set_layer(text, ENTRY)
    after = set_layer(before, changed)
    assert set_layer(after, ENTRY) == before
    assert pyyaml.safe_load(after) == with_entry(yaml.parse(text), KEY, changed)


@pytest.mark.parametrize("text", [text for text in FILES if "dev" in text or "x:" in text])
def test_adding_and_removing_an_entry_restores_a_file_with_other_servers(text: str) -> None:
    assert yaml.remove_entry(set_layer(text, ENTRY), KEY, "layer") == text


@pytest.mark.parametrize("text", FILES)
def test_adding_an_entry_keeps_the_comments(text: str) -> None:
    after = set_layer(text, ENTRY)
    comments = [line[line.index("#") :] for line in text.splitlines() if "#" in line]
    assert [comment for comment in comments if comment not in after] == []


@given(ENTRIES)
def test_an_entry_is_parsed_unchanged(entry: dict[str, Any]) -> None:
    text = set_layer("x: 1\n", entry)
    assert pyyaml.safe_load(text)[KEY]["layer"] == entry


def test_servers_that_are_an_alias_are_not_changed() -> None:
    with pytest.raises(NotEditableError):
        set_layer("q: &e\n  x: {y: 1}\nextensions: *e\n", ENTRY)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a: 1\n b: 2\n", 2, 3), ("a: [1\n", 2, 1), ("a: 1\n---\nb: 2\n", 2, 1), ("a: \x01", 1, 4)],
)
def test_a_syntax_error_has_a_line_and_a_column(text: str, line: int, column: int) -> None:
    with pytest.raises(ConfigSyntaxError) as caught:
        yaml.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize("text", ["key: *hush\n", "key: !hush 1\n", "a: &hush 1\nb: &hush [\n"])
def test_a_syntax_error_does_not_quote_the_file(text: str) -> None:
    with pytest.raises(ConfigSyntaxError) as caught:
        yaml.parse(text)
    assert "hush" not in str(caught.value)
