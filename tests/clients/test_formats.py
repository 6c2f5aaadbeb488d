"""Entries in texts of each format: what they say changes as asked, and no byte beside it."""

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from layer_mcp.clients.errors import ConfigSyntaxError, NotEditableError
from layer_mcp.clients.formats import format_of

from ..support.config_strategies import ENTRIES, NAMES, SERVERS, VALUES, commented_json

JSON, TOML, YAML = format_of("json"), format_of("toml"), format_of("yaml")
PLACE = ("mcpServers",)
ENTRY: dict[str, Any] = {"command": "/a b/é", "args": ["-x"], "env": {"A": "1"}}

FILES = st.dictionaries(NAMES, VALUES, max_size=3).flatmap(
    lambda rest: (SERVERS | st.none()).map(lambda servers: {**rest, "mcpServers": servers})
) | st.dictionaries(st.sampled_from(["a", "layer"]), VALUES, max_size=3)


def with_entry(data: Any, place: str, entry: dict[str, Any]) -> Any:
    changed = copy.deepcopy(data)
    changed[place] = {**(changed.get(place) or {}), "layer": entry}
    return changed


@given(st.data(), FILES, ENTRIES)
def test_json_with_an_entry_says_what_it_said_and_the_entry(
    data: st.DataObject, value: Any, entry: dict[str, Any]
) -> None:
    text = data.draw(commented_json(value))
    assert JSON.parse(text) == value
    assert JSON.parse(JSON.put(text, PLACE, "layer", entry)) == with_entry(
        value, "mcpServers", entry
    )


@given(st.data(), FILES, ENTRIES)
def test_json_keeps_every_byte_outside_a_new_entry(
    data: st.DataObject, value: Any, entry: dict[str, Any]
) -> None:
    value = {**value, "mcpServers": {"another": {}}}
    text = data.draw(commented_json(value))
    after = JSON.put(text, PLACE, "layer", entry)
    remaining = iter(after)
    assert all(character in remaining for character in text)


@given(st.data(), FILES, ENTRIES)
def test_json_without_its_entry_again_says_what_it_said(
    data: st.DataObject, value: Any, entry: dict[str, Any]
) -> None:
    text = data.draw(commented_json(value))
    expected = with_entry(value, "mcpServers", entry)
    del expected["mcpServers"]["layer"]
    without = JSON.take_out(JSON.put(text, PLACE, "layer", entry), PLACE, "layer")
    assert JSON.parse(without) == expected


@given(st.data(), SERVERS, ENTRIES)
def test_json_with_other_servers_is_byte_for_byte_what_it_was_after_both(
    data: st.DataObject, servers: dict[str, Any], entry: dict[str, Any]
) -> None:
    servers = {**servers, "another": {}}
    servers.pop("layer", None)
    text = data.draw(commented_json({"mcpServers": servers}))
    assert JSON.take_out(JSON.put(text, PLACE, "layer", entry), PLACE, "layer") == text


@given(st.data(), FILES, ENTRIES, ENTRIES)
def test_json_changes_an_entry_in_its_place_only(
    data: st.DataObject, value: Any, old: dict[str, Any], new: dict[str, Any]
) -> None:
    text = JSON.put(data.draw(commented_json(value)), PLACE, "layer", old)
    changed = JSON.put(text, PLACE, "layer", new)
    assert JSON.parse(changed) == with_entry(JSON.parse(text), "mcpServers", new)
    assert JSON.put(changed, PLACE, "layer", old) == text


def test_json_in_the_indentation_and_line_ends_that_the_file_has() -> None:
    text = '{\r\n\t"mcpServers": {\r\n\t\t"x": {} // mine\r\n\t}\r\n}'
    assert JSON.put(text, PLACE, "layer", {"command": "c"}) == (
        '{\r\n\t"mcpServers": {\r\n\t\t"x": {}, // mine\r\n'
        '\t\t"layer": {\r\n\t\t\t"command": "c"\r\n\t\t}\r\n\t}\r\n}'
    )


def test_json_keeps_a_trailing_comma_as_the_style_of_the_file() -> None:
    text = '{\n  "mcpServers": {\n    "x": {}, // mine\n  },\n}'
    assert JSON.put(text, PLACE, "layer", {}) == (
        '{\n  "mcpServers": {\n    "x": {}, // mine\n    "layer": {},\n  },\n}'
    )


def test_of_equal_names_the_last_is_changed_as_it_is_the_one_that_counts() -> None:
    text = '{"mcpServers": {"layer": 1, "layer": 2}}'
    assert JSON.put(text, PLACE, "layer", {}) == '{"mcpServers": {"layer": 1, "layer": {}}}'


def test_every_entry_of_our_name_is_taken_out() -> None:
    text = '{"mcpServers": {"layer": 1, "x": 3, "layer": 2}}'
    assert JSON.take_out(text, PLACE, "layer") == '{"mcpServers": {"x": 3}}'


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
def test_what_is_wrong_with_json_has_its_line_and_column(text: str, line: int, column: int) -> None:
    with pytest.raises(ConfigSyntaxError) as caught:
        JSON.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)


TOML_FILES = [
    "",
    "a = 1",
    'a = 1 # end\n[x]\nb = [\n[1],\n["[mcp_servers.layer]"]]\n# last\n',
    '[mcp_servers.y]\ncommand = "z"\n\n[mcp_servers.y.env]\nA = """\n[mcp_servers.layer]\n"""\n',
    "[mcp_servers.y]\ncommand = 'z' # '\n\n[[other]]\nb = 1\n\n# before\n[other.c]\n",
    "[mcp_servers]\nx = {command = 'z'}\n",
    "s = '''\n[x]\n'''\n\n",
    'k = "grün"\r\n[b]\r\n',
]


@pytest.mark.parametrize("text", TOML_FILES)
def test_toml_with_an_entry_begins_as_it_was_and_says_what_it_said(text: str) -> None:
    after = TOML.put(text, ("mcp_servers",), "layer", ENTRY)
    assert after.startswith(text)
    assert TOML.parse(after) == with_entry(TOML.parse(text), "mcp_servers", ENTRY)


@pytest.mark.parametrize("text", [text for text in TOML_FILES if text.endswith("\n")])
def test_toml_is_byte_for_byte_what_it_was_after_both(text: str) -> None:
    after = TOML.put(text, ("mcp_servers",), "layer", ENTRY)
    assert TOML.take_out(after, ("mcp_servers",), "layer") == text


def test_toml_changes_an_entry_where_it_is() -> None:
    text = "a = 1\n[mcp_servers.layer]\ncommand = 'old'\n\n# mine\n[other]\nb = 2\n"
    after = TOML.put(text, ("mcp_servers",), "layer", {"command": "new", "on": True})
    assert after == (
        'a = 1\n[mcp_servers.layer]\ncommand = "new"\non = true\n\n# mine\n[other]\nb = 2\n'
    )


@given(ENTRIES)
def test_toml_says_the_entry_that_it_was_given(entry: dict[str, Any]) -> None:
    text = TOML.put("x = 1\n", ("mcp_servers",), "layer", entry)
    assert TOML.parse(text)["mcp_servers"]["layer"] == entry


def test_a_toml_entry_within_another_line_is_not_taken_out() -> None:
    with pytest.raises(NotEditableError):
        TOML.take_out("mcp_servers = {layer = {command = 'x'}}", ("mcp_servers",), "layer")


@pytest.mark.parametrize(
    ("text", "line", "column"), [("a = 1\nb = = 2", 2, 5), ("a = 1\nb = [", 2, 6)]
)
def test_what_is_wrong_with_toml_has_its_line_and_column(text: str, line: int, column: int) -> None:
    with pytest.raises(ConfigSyntaxError) as caught:
        TOML.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)


YAML_FILES = [
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


@pytest.mark.parametrize("text", YAML_FILES)
def test_yaml_with_an_entry_says_what_it_said_and_the_entry(text: str) -> None:
    after = YAML.put(text, ("extensions",), "layer", ENTRY)
    assert yaml.safe_load(after) == with_entry(YAML.parse(text), "extensions", ENTRY)


@pytest.mark.parametrize("text", YAML_FILES)
def test_yaml_changes_an_entry_where_it_is(text: str) -> None:
    changed: dict[str, Any] = {**ENTRY, "args": []}
    before = YAML.put(text, ("extensions",), "layer", ENTRY)
    after = YAML.put(before, ("extensions",), "layer", changed)
    assert YAML.put(after, ("extensions",), "layer", ENTRY) == before
    assert yaml.safe_load(after) == with_entry(YAML.parse(text), "extensions", changed)


@pytest.mark.parametrize("text", [text for text in YAML_FILES if "dev" in text or "x:" in text])
def test_yaml_with_other_servers_is_byte_for_byte_what_it_was_after_both(text: str) -> None:
    after = YAML.put(text, ("extensions",), "layer", ENTRY)
    assert YAML.take_out(after, ("extensions",), "layer") == text


@pytest.mark.parametrize("text", YAML_FILES)
def test_yaml_keeps_its_comments(text: str) -> None:
    after = YAML.put(text, ("extensions",), "layer", ENTRY)
    remarks = [line[line.index("#") :] for line in text.splitlines() if "#" in line]
    assert [remark for remark in remarks if remark not in after] == []


@given(ENTRIES)
def test_yaml_says_the_entry_that_it_was_given(entry: dict[str, Any]) -> None:
    text = YAML.put("x: 1\n", ("extensions",), "layer", entry)
    assert yaml.safe_load(text)["extensions"]["layer"] == entry


def test_yaml_servers_that_are_an_alias_are_left_alone() -> None:
    with pytest.raises(NotEditableError):
        YAML.put("q: &e\n  x: {y: 1}\nextensions: *e\n", ("extensions",), "layer", ENTRY)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a: 1\n b: 2\n", 2, 3), ("a: [1\n", 2, 1), ("a: 1\n---\nb: 2\n", 2, 1), ("a: \x01", 1, 4)],
)
def test_what_is_wrong_with_yaml_has_its_line_and_column(text: str, line: int, column: int) -> None:
    with pytest.raises(ConfigSyntaxError) as caught:
        YAML.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
