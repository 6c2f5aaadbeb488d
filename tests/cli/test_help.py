"""The help of every command, and the version."""

import re
import shlex
from collections.abc import Mapping
from typing import cast

import pytest

from layer_mcp import __version__
from layer_mcp.cli.main import parser
from layer_mcp.cli.parser import CommandParser

from ..support.terminal import Person

# What a shell does with the rest of a line.
SHELL = re.compile(r" [|<>] .*")


def commands() -> Mapping[str, CommandParser]:
    [found] = [action.choices for action in parser().all_actions() if action.choices]
    return cast("Mapping[str, CommandParser]", found)


def examples_of(text: str | None) -> list[str]:
    lines = [line.strip() for line in (text or "").splitlines()]
    return [SHELL.sub("", line) for line in lines if line.startswith("layer-mcp ")]


@pytest.mark.parametrize("name", commands())
def test_the_help_of_a_command_says_what_it_does_and_has_examples(
    name: str, person: Person
) -> None:
    text = person.done(name, "--help")
    _, description, *_ = text.split("\n\n")
    assert re.fullmatch(r"[A-Z].*\.", description)
    assert "examples:\n  " in text


def test_every_example_is_a_valid_command_line() -> None:
    helps = [parser().epilog, *(command.epilog for command in commands().values())]
    examples = [example for text in helps for example in examples_of(text)]
    assert len(examples) > len(helps)
    for example in examples:
        assert callable(parser().parse_args(shlex.split(example)[1:]).run)


def test_help_shows_the_help_of_a_command_and_of_the_program(person: Person) -> None:
    assert person.done("help", "generate") == person.done("generate", "--help")
    assert person.done("help") == person.done("--help")


def test_help_for_an_unknown_command_suggests_the_nearest(person: Person) -> None:
    ended = person.here("help", "genrate")
    assert ended.returncode == 2
    assert ended.stderr.endswith("Did you mean generate?\n")


def test_version_has_a_short_option(person: Person) -> None:
    assert person.done("-V") == f"layer-mcp {__version__}\n"


def test_both_forms_of_a_flag_share_a_line_of_the_help(person: Person) -> None:
    assert re.search(r"^  --\[no-\]keep-audio {2,}Keep", person.done("help", "generate"), re.M)
