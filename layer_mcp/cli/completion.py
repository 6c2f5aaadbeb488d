"""layer-mcp completion: a script that completes commands and options in a shell.

The script is generated from the parser and contains all words, so Tab doesn't start Python.
"""

import argparse
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .parser import EXIT_OK, AddCommand, CommandParser, Commands, capitalize

PROGRAM = "layer-mcp"
FILE_WORDS = ("FILE", "PATH")
INSTALLATION = """\
To complete commands from now on:
  layer-mcp completion bash > ~/.local/share/bash-completion/completions/layer-mcp
  layer-mcp completion zsh > "${fpath[1]}/_layer-mcp"
  layer-mcp completion fish > ~/.config/fish/completions/layer-mcp.fish"""

Kind = Literal["none", "text", "file", "folder"]
"""What follows an option: nothing, any text (or one of the words), a file, or a folder."""


@dataclass(frozen=True)
class Argument:
    """An option or a positional argument, and its possible values."""

    names: tuple[str, ...]
    summary: str
    kind: Kind
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Command:
    """A command with its options and arguments; the first one, without a name, is the program."""

    name: str
    summary: str
    options: Sequence[Argument]
    arguments: Sequence[Argument]

    @property
    def words(self) -> list[str]:
        """All words that its arguments can be."""
        return [word for argument in self.arguments for word in argument.words]


def add_completion(add_command: AddCommand, commands: Commands) -> None:
    """Add the command."""
    command = add_command(
        "completion",
        help="print a script for your shell that completes commands",
        examples=['eval "$(layer-mcp completion bash)"', "layer-mcp completion fish | source"],
        notes=INSTALLATION,
    )
    command.add_argument("shell", choices=list(WRITERS), metavar="SHELL", help=" or ".join(WRITERS))

    def run(options: argparse.Namespace) -> int:
        print(WRITERS[options.shell](read_commands(commands)))
        return EXIT_OK

    command.set_defaults(run=run)


def read_commands(commands: Commands) -> list[Command]:
    """Return the program and its commands."""
    program = _read_command("", commands.top)
    names = Argument((), "command", "text", tuple(commands.parsers()))
    return [
        replace(program, arguments=[names]),
        *(_read_command(name, parser) for name, parser in commands.parsers().items()),
    ]


def _read_command(name: str, parser: CommandParser) -> Command:
    parser.load_options()
    actions = [action for action in parser.all_actions() if action.help != argparse.SUPPRESS]
    arguments = [_read_argument(action) for action in actions]
    return Command(
        name,
        (parser.description or "").rstrip("."),
        [argument for argument in arguments if argument.names],
        [argument for argument in arguments if not argument.names],
    )


def _read_argument(action: argparse.Action) -> Argument:
    summary = " ".join((action.help or "").replace("%%", "%").split())
    summary = summary.replace("%(default)s", f"{action.default}")
    metavar = f"{action.metavar}"
    kind: Kind = "text"
    if action.nargs == 0:
        kind = "none"
    elif metavar.endswith(FILE_WORDS):
        kind = "file"
    elif metavar == "DIR":
        kind = "folder"
    words = tuple(f"{choice}" for choice in action.choices or ())
    return Argument(
        tuple(action.option_strings), capitalize(summary), kind, words or _known_words(metavar)
    )


def _known_words(metavar: str) -> tuple[str, ...]:
    from ..clients.catalog import CLIENTS  # noqa: PLC0415

    if metavar == "CLIENT":
        return tuple(client.id for client in CLIENTS)
    return ("last",) if metavar == "RUN" else ()


def _write_bash(commands: Sequence[Command]) -> str:
    names = " | ".join(command.name for command in commands[1:])
    values = [line for command in commands for line in _bash_values(command)]
    words = [line for command in commands for line in _bash_words(command)]
    return _join(
        f"# bash completion for {PROGRAM}",
        "_layer_mcp() {",
        '    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}"',
        '    local command="" word words=""',
        '    for word in "${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do',
        f'        case "$word" in {names}) command="$word" && break ;; esac',
        "    done",
        '    case "$command $previous" in',
        *values,
        '    *) case "$command" in',
        *words,
        "    esac ;;",
        "    esac",
        '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "}",
        # An argument without words is a file.
        f"complete -o bashdefault -o default -F _layer_mcp {PROGRAM}",
    )


def _bash_values(command: Command) -> Iterator[str]:
    for option in command.options:
        if option.kind != "none":
            places = " | ".join(f'"{command.name} {name}"' for name in option.names)
            yield f"    {places}) words={_quote(option.words)} ;;"


def _bash_words(command: Command) -> Iterator[str]:
    options = [name for option in command.options for name in option.names]
    yield f"    {shlex.quote(command.name)})"
    yield f"        words={_quote(command.words)}"
    yield f"        [[ $current == -* ]] && words={_quote(options)}"
    yield "        ;;"


def _write_zsh(commands: Sequence[Command]) -> str:
    program, *others = commands
    described = [f"{command.name}:{command.summary}" for command in others]
    return _join(
        f"#compdef {PROGRAM}",
        "_layer-mcp() {",
        "    local context state state_descr line",
        "    typeset -A opt_args",
        "    local -a commands",
        f"    commands=({_quote_each(described)})",
        f"    _arguments -C {_quote_each(_zsh_specs(program.options))} \\",
        "        '1:command:->command' '*::argument:->argument'",
        '    case "$state" in',
        "    command) _describe command commands ;;",
        "    argument)",
        '        case "${words[1]}" in',
        *(
            f"        {command.name}) _arguments "
            f"{_quote_each(_zsh_specs([*command.options, *command.arguments]))} ;;"
            for command in others
        ),
        "        esac",
        "        ;;",
        "    esac",
        "}",
        # The file is either sourced or is the function itself.
        'if [ "${funcstack[1]}" = "_layer-mcp" ]; then _layer-mcp "$@"; else',
        f"    compdef _layer-mcp {PROGRAM}",
        "fi",
    )


def _zsh_specs(arguments: Sequence[Argument]) -> Iterator[str]:
    for argument in arguments:
        summary = "".join(f"\\{one}" if one in "[]:\\" else one for one in argument.summary)
        values: dict[Kind, str] = {
            "none": "",
            "text": f": :({' '.join(argument.words)})" if argument.words else ": : ",
            "file": ": :_files",
            "folder": ": :_files -/",
        }
        value = values[argument.kind]
        if argument.names:
            yield from (f"*{name}[{summary}]{value}" for name in argument.names)
        elif argument.words:
            yield f"*{value}"


def _write_fish(commands: Sequence[Command]) -> str:
    program, *others = commands
    lines = [f"complete -c {PROGRAM} -f"]
    first = "-n __fish_use_subcommand"
    for command in others:
        lines.append(
            f"complete -c {PROGRAM} {first} -a {command.name} -d {shlex.quote(command.summary)}"
        )
        here = f"-n '__fish_seen_subcommand_from {command.name}'"
        lines += [f"complete -c {PROGRAM} {here} {one}" for one in _fish_parts(command)]
    lines += [f"complete -c {PROGRAM} {first} {one}" for one in map(_fish_option, program.options)]
    return _join(f"# fish completion for {PROGRAM}", *lines)


def _fish_parts(command: Command) -> Iterator[str]:
    yield from map(_fish_option, command.options)
    if command.words:
        yield f"-a {_quote(command.words)}"


def _fish_option(option: Argument) -> str:
    names = [
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
    ]
    values: dict[Kind, str] = {
        "none": "",
        "text": f" -x -a {_quote(option.words)}" if option.words else " -x",
        "file": " -r -F",
        "folder": " -x -a '(__fish_complete_directories)'",
    }
    return f"{' '.join(names)}{values[option.kind]} -d {shlex.quote(option.summary)}"


def _quote(words: Sequence[str]) -> str:
    return shlex.quote(" ".join(words))


def _quote_each(words: Iterable[str]) -> str:
    return " ".join(map(shlex.quote, words))


def _join(*lines: str) -> str:
    return "\n".join(lines)


WRITERS: dict[str, Callable[[Sequence[Command]], str]] = {
    "bash": _write_bash,
    "zsh": _write_zsh,
    "fish": _write_fish,
}
