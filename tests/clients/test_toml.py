"""Entries in TOML: the data changes as asked, and every other byte stays."""

from typing import Any

import pytest
from hypothesis import given

from layer_mcp.clients import toml
from layer_mcp.clients.errors import ConfigSyntaxError, NotEditableError

from ..support.config_strategies import ENTRIES, ENTRY, with_entry

KEY = "mcp_servers"
FILES = [
    "",
    "a = 1",
    'a = 1 # end\n[x]\nb = [\n[1],\n["[mcp_servers.layer]"]]\n# last\n',
    '[mcp_servers.y]\ncommand = "z"\n\n[mcp_servers.y.env]\nA = """\n[mcp_servers.layer]\n"""\n',
    "[mcp_servers.y]\ncommand = 'z' # '\n\n[[other]]\nb = 1\n\n# before\n[other.c]\n",
    "[mcp_servers]\nx = {command = 'z'}\n",
    "s = '''\n[x]\n'''\n\n",
    'k = "grün"\r\n[b]\r\n',
    "[[o]]\n[z]\n[[o.p]]\n",
]
# An entry among other tables, split at the entry.
AROUND = [
    ("", "\n# mine\n[other]\nb = 2\n"),
    ("a = 1\n", "\n# mine\n[other]\nb = 2\n"),
    ("a = 1 # one\n\n[x]\nb = 2\n# end of x\n", "# mine\n\n\n[x.y]\n# end\n"),
    ("[mcp_servers.y]\nb = 1\n", "[mcp_servers.z]\nb = 1\n"),
    ("[mcp_servers]\n[mcp_servers.y]\nb = 1\n", "  [mcp_servers.z] # z\n  b.c = 1\n"),
    ("[[o]]\nb = 1\n[[o]]\n", "[[q]]\nb = 1\n\n[[q]]\n"),
    ("[mcp_servers.y]\n[[o]]\n", "[[o.p]]\n[o.p.q]\n"),
    ("[x]\r\nb = 1\r\n", "\r\n# mine\r\n[other]\r\nb = 2"),
]
OLD = "[mcp_servers.layer]\ncommand = 'old'\n[mcp_servers.layer.env]\nA.B = '1' # two\n"


def set_layer(text: str, entry: dict[str, Any]) -> str:
    return toml.set_entry(text, KEY, "layer", entry)


def remove_layer(text: str) -> str:
    return toml.remove_entry(text, KEY, "layer")


@pytest.mark.parametrize("text", FILES)
def test_an_entry_is_added_at_the_end_and_all_data_is_kept(text: str) -> None:
    after = set_layer(text, ENTRY)
    assert after.startswith(text)
    assert toml.parse(after) == with_entry(toml.parse(text), KEY, ENTRY)


@pytest.mark.parametrize("text", [text for text in FILES if text.endswith("\n")])
def test_adding_and_removing_an_entry_restores_the_file(text: str) -> None:
    assert remove_layer(set_layer(text, ENTRY)) == text


@pytest.mark.parametrize(("before", "after"), AROUND)
def test_replacing_an_entry_keeps_every_byte_around_it(before: str, after: str) -> None:
    newline = "\r\n" if "\r\n" in before else "\n"
    new = newline.join(["[mcp_servers.layer]", 'command = "new"', "on = true", ""])
    changed = set_layer(before + OLD + after, {"command": "new", "on": True})
    assert changed == before + new + after


@pytest.mark.parametrize(("before", "after"), AROUND)
def test_removing_an_entry_keeps_every_byte_around_it(before: str, after: str) -> None:
    assert remove_layer(before + OLD + after) == before + after


def test_tables_of_an_entry_in_different_places_are_all_replaced() -> None:
    text = "[mcp_servers.layer]\na = 1\n[x]\n# x\n[mcp_servers.layer.env]\nB = '1'\n# end\n"
    assert set_layer(text, {"c": 2}) == "[mcp_servers.layer]\nc = 2\n[x]\n# x\n# end\n"


def test_comments_after_an_array_of_tables_in_an_entry_are_kept() -> None:
    text = "[mcp_servers.layer]\na = 1\n[[mcp_servers.layer.b]]\nc = 1\n\n# mine\n"
    assert remove_layer(text) == "\n# mine\n"


@given(ENTRIES)
def test_an_entry_is_parsed_unchanged(entry: dict[str, Any]) -> None:
    text = set_layer("x = 1\n", entry)
    assert toml.parse(text)[KEY]["layer"] == entry


@pytest.mark.parametrize(
    "text",
    [
        "mcp_servers = {layer = {command = 'x'}}",
        "mcp_servers.layer.command = 'x'\n",
        "[mcp_servers]\nlayer.command = 'x'\n",
    ],
)
def test_does_not_remove_an_entry_that_is_not_a_table(text: str) -> None:
    with pytest.raises(NotEditableError):
        remove_layer(text)


@pytest.mark.parametrize(
    ("text", "line", "column"), [("a = 1\nb = = 2", 2, 5), ("a = 1\nb = [", 2, 6)]
)
def test_a_syntax_error_has_a_line_and_a_column(text: str, line: int, column: int) -> None:
    with pytest.raises(ConfigSyntaxError) as caught:
        toml.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize("text", ["hush = 1\n[hush]\n", "[a]\n[a]\n", "a = hush\n"])
def test_a_syntax_error_does_not_quote_the_file(text: str) -> None:
    with pytest.raises(ConfigSyntaxError) as caught:
        toml.parse(text)
    assert str(caught.value) == "It isn't valid TOML"
