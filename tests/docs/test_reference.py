"""The reference shows what a program can import, and nothing else."""

import builtins
import re
import typing
from collections import abc

import layer_mcp
from docs.generator.names import public_names

SIGNATURE = re.compile(r"```text\n(.*?)```", re.DOTALL)
TYPE_CELL = re.compile(r"^\| `\w+` \| `([^`]+)`", re.MULTILINE)
TYPE = re.compile(r"(?<![\w\".])(_?[A-Z]\w+)")
KNOWN = {*dir(builtins), *dir(typing), *dir(abc), "BinaryIO", "Path", "PathLike", "datetime"}


def type_names() -> set[str]:
    text = public_names()
    places = [*SIGNATURE.findall(text), *TYPE_CELL.findall(text)]
    return {name for place in places for name in TYPE.findall(re.sub(r"'[^']*'", "", place))}


def test_every_type_in_the_reference_can_be_imported() -> None:
    assert "ModelSummary" in type_names()
    assert type_names() - KNOWN - set(layer_mcp.__all__) == set()


def test_the_reference_names_nothing_private() -> None:
    headings = re.findall(r"^#+ (?:\w+\.)?(\w+)", public_names(), re.MULTILINE)
    assert [name for name in headings if name.startswith("_")] == []


def test_every_class_of_errors_lists_its_codes() -> None:
    sections = re.split(r"^## ", public_names(), flags=re.MULTILINE)
    [section] = [one for one in sections if one.startswith("RateLimitError")]
    assert "`RUNS_AT_LIMIT`" in section
