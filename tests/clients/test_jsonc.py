"""Entries in JSON: the data changes as asked, and every other byte stays."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layer_mcp.clients import jsonc
from layer_mcp.clients.errors import ConfigSyntaxError

from ..support.config_strategies import ENTRIES, NAMES, SERVERS, VALUES, commented_json, with_entry

KEY = "mcpServers"
FILES = st.dictionaries(NAMES, VALUES, max_size=3).flatmap(
    lambda rest: (SERVERS | st.none()).map(lambda servers: {**rest, KEY: servers})
) | st.dictionaries(st.sampled_from(["a", "layer"]), VALUES, max_size=3)


def set_layer(text: str, entry: dict[str, Any]) -> str:
    return jsonc.set_entry(text, KEY, "layer", entry)


def remove_layer(text: str) -> str:
    return jsonc.remove_entry(text, KEY, "layer")


@given(st.data(), FILES, ENTRIES)
def test_setting_an_entry_keeps_all_other_data(
    data: st.DataObject, value: Any, entry: dict[str, Any]
) -> None:
    text = data.draw(commented_json(value))
    assert jsonc.parse(text) == value
    assert jsonc.parse(set_layer(text, entry)) == with_entry(value, KEY, entry)


@given(st.data(), FILES, ENTRIES)
def test_adding_an_entry_keeps_every_byte(
    data: st.DataObject, value: Any, entry: dict[str, Any]
) -> None:
    value = {**value, KEY: {"another": {}}}
    text = data.draw(commented_json(value))
    remaining = iter(set_layer(text, entry))
    assert all(character in remaining for character in text)


@given(st.data(), FILES, ENTRIES)
def test_removing_an_entry_keeps_all_other_data(
    data: st.DataObject, value: Any, entry: dict[str, Any]
) -> None:
    text = data.draw(commented_json(value))
    expected = with_entry(value, KEY, entry)
    del expected[KEY]["layer"]
    assert jsonc.parse(remove_layer(set_layer(text, entry))) == expected


@given(st.data(), SERVERS, ENTRIES)
def test_adding_and_removing_an_entry_restores_a_file_with_other_servers(
    data: st.DataObject, servers: dict[str, Any], entry: dict[str, Any]
) -> None:
    servers = {**servers, "another": {}}
    servers.pop("layer", None)
    text = data.draw(commented_json({KEY: servers}))
    assert remove_layer(set_layer(text, entry)) == text


@given(st.data(), FILES, ENTRIES, ENTRIES)
def test_replacing_an_entry_keeps_its_place(
    data: st.DataObject, value: Any, old: dict[str, Any], new: dict[str, Any]
) -> None:
    text = set_layer(data.draw(commented_json(value)), old)
    changed = set_layer(text, new)
    assert jsonc.parse(changed) == with_entry(jsonc.parse(text), KEY, new)
    assert set_layer(changed, old) == text


def test_an_entry_gets_the_indentation_and_line_endings_of_the_file() -> None:
    text = '{\r\n\t"mcpServers": {\r\n\t\t"x": {} // mine\r\n\t}\r\n}'
    assert set_layer(text, {"command": "c"}) == (
        '{\r\n\t"mcpServers": {\r\n\t\t"x": {}, // mine\r\n'
        '\t\t"layer": {\r\n\t\t\t"command": "c"\r\n\t\t}\r\n\t}\r\n}'
    )


def test_an_entry_gets_a_trailing_comma_where_the_file_uses_them() -> None:
    text = '{\n  "mcpServers": {\n    "x": {}, // mine\n  },\n}'
    assert set_layer(text, {}) == (
        '{\n  "mcpServers": {\n    "x": {}, // mine\n    "layer": {},\n  },\n}'
    )


def test_replaces_the_last_of_two_entries_with_our_name() -> None:
    text = '{"mcpServers": {"layer": 1, "layer": 2}}'
    assert set_layer(text, {}) == '{"mcpServers": {"layer": 1, "layer": {}}}'


def test_every_entry_with_our_name_is_removed() -> None:
    text = '{"mcpServers": {"layer": 1, "x": 3, "layer": 2}}'
    assert remove_layer(text) == '{"mcpServers": {"x": 3}}'


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{\n  "a": }', 2, 8),
        ('{"a": 1 /* open', 1, 9),
        ('{\n  // fine\n  "a": 1\n  "b": 2\n}', 4, 3),
        ("{'a': 1}", 1, 2),
        ("[" * 100_000, 1, 1),
    ],
    ids=["value", "comment", "comma", "quotes", "depth"],
)
def test_a_syntax_error_has_a_line_and_a_column(text: str, line: int, column: int) -> None:
    with pytest.raises(ConfigSyntaxError) as caught:
        jsonc.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
