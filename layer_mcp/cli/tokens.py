"""layer-mcp tokens: add, list, and remove the tokens of callers of the HTTP server."""

import argparse
import datetime
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..settings import SettingsError, is_given, parse_folder, tidy_value
from .parser import EXIT_FAILED, EXIT_OK, AddCommand, UsageError, price, unicode_text

if TYPE_CHECKING:
    from ..access.scopes import Scope
    from ..clients.config_file import ConfigFile

TOKEN_PREFIX = "lmcp_"  # noqa: S105
TOKEN_BYTES = 32
TABLE = "tokens"
SCOPES_BY_WORD: dict[str, tuple["Scope", ...]] = {
    "read": ("layer:read",),
    "spend": ("layer:read", "layer:spend"),
}
NOTES = """\
A token is shown once; the file has only its SHA-256. A server that uses the
file applies a change to the next request, without a restart."""


def add_tokens(add_command: AddCommand) -> None:
    """Add the command."""
    command = add_command(
        "tokens",
        help="manage the tokens that callers of your HTTP server use",
        examples=[
            "layer-mcp tokens add alice --max-spend-per-day 100",
            "layer-mcp tokens add dashboard --scopes read",
            "layer-mcp tokens list",
            "layer-mcp tokens remove alice",
        ],
        notes=NOTES,
    )
    command.usage = "layer-mcp tokens ACTION [NAME] [options]"
    command.add_argument(
        "action", choices=list(ACTIONS), metavar="ACTION", help="add, list, or remove"
    )
    command.add_argument(
        "name", nargs="?", type=unicode_text, metavar="NAME", help="name of the caller"
    )
    command.add_argument(
        "--scopes",
        choices=list(SCOPES_BY_WORD),
        help="read, or spend to start paid runs too (spend)",
    )
    command.add_argument(
        "--max-price", type=price, metavar="CU", help="maximum price of one run of this caller"
    )
    command.add_argument(
        "--max-spend-per-day",
        type=price,
        metavar="CU",
        help="maximum price of this caller's runs in 24 hours",
    )
    command.add_argument(
        "--file",
        type=unicode_text,
        metavar="FILE",
        help="file of tokens (LAYER_TOKENS_FILE, or tokens.toml in your configuration folder)",
    )
    command.set_defaults(run=manage_tokens)


def manage_tokens(options: argparse.Namespace) -> int:
    """Add, list, or remove tokens.

    Raises:
        SettingsError: The file or an argument is invalid.
    """
    needs_name = options.action != "list"
    if needs_name != (options.name is not None):
        problem = "needs a name" if needs_name else "takes no name"
        raise UsageError(f"layer-mcp tokens {options.action} {problem}.")
    limits = (options.scopes, options.max_price, options.max_spend_per_day)
    if options.action != "add" and any(value is not None for value in limits):
        raise UsageError("--scopes, --max-price, and --max-spend-per-day need the action add.")
    return ACTIONS[options.action](_token_file(options.file), options)


def _token_file(given: str | None) -> Path:
    from ..access.token_file import default_token_file  # noqa: PLC0415

    name, value = "--file", given
    if value is None:
        name, value = "LAYER_TOKENS_FILE", os.environ.get("LAYER_TOKENS_FILE", "")
    if not is_given(value):
        return default_token_file()
    return Path(parse_folder(name, tidy_value(value))).expanduser().absolute()


def _add(path: Path, options: argparse.Namespace) -> int:
    from ..access.token_file import (  # noqa: PLC0415
        InvalidEntryError,
        TokenFile,
        hash_token,
        parse_token_name,
        read_token_file,
    )
    from ..clients.toml import set_entry  # noqa: PLC0415

    try:
        name = parse_token_name(options.name)
    except InvalidEntryError as error:
        raise UsageError(f"The token can't have {error}.") from None
    known = read_token_file(path) if os.path.lexists(path) else TokenFile()
    if any(token.name.lower() == name.lower() for token in known.tokens):
        raise SettingsError(
            f"{path} already has a token for {name}; remove it first, or choose another name."
        )
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    entry: dict[str, Any] = {
        "sha256": hash_token(token),
        "scopes": list(SCOPES_BY_WORD[options.scopes or "spend"]),
        "max_price": options.max_price,
        "max_spend_per_day": options.max_spend_per_day,
        "created": datetime.datetime.now(datetime.UTC).date(),
    }
    entry = {key: value for key, value in entry.items() if value is not None}
    file = _read(path)
    _write(file, set_entry(file.text, TABLE, name, entry))
    print(token)
    print(
        f"The token for {name} won't be shown again. To use it, start the server "
        f"with: layer-mcp serve --http --tokens-file {path}",
        file=sys.stderr,
    )
    return EXIT_OK


def _list(path: Path, _options: argparse.Namespace) -> int:
    from ..access.token_file import read_token_file  # noqa: PLC0415
    from .screen.output import Column, open_screen, table  # noqa: PLC0415

    screen = open_screen()
    tokens = read_token_file(path).tokens
    columns = [
        Column("name"),
        Column("scopes"),
        Column("max price", "number"),
        Column("max a day", "number"),
        Column("created", optional=True),
    ]
    rows = [
        [
            token.name,
            "spend" if "layer:spend" in token.scopes else "read",
            _format_amount(token.limits.max_price),
            _format_amount(token.limits.max_spend_per_day),
            token.created,
        ]
        for token in tokens
    ]
    if rows:
        screen.show(*table(columns, rows, screen.stdout))
    else:
        screen.note(f"{path} has no tokens.")
    return EXIT_OK


def _remove(path: Path, options: argparse.Namespace) -> int:
    from ..access.token_file import read_token_file  # noqa: PLC0415
    from ..clients.errors import NotEditableError  # noqa: PLC0415
    from ..clients.toml import remove_entry  # noqa: PLC0415
    from ..text.plain_text import quote  # noqa: PLC0415

    if options.name not in (token.name for token in read_token_file(path).tokens):
        print(f"layer-mcp: {path} has no token for {quote(options.name)}.", file=sys.stderr)
        return EXIT_FAILED
    file = _read(path)
    try:
        _write(file, remove_entry(file.text, TABLE, options.name))
    except NotEditableError as error:
        raise SettingsError(f"{options.name} can't be removed from {path}: {error}.") from None
    print(f"Removed the token for {options.name}; it no longer works.")
    return EXIT_OK


def _read(path: Path) -> "ConfigFile":
    from ..clients.config_file import read_config  # noqa: PLC0415
    from ..clients.errors import ClientConfigError  # noqa: PLC0415

    try:
        return read_config(path)
    except ClientConfigError as error:
        _fail(error.fact)


def _write(file: "ConfigFile", text: str) -> None:
    """Replace the file, after checking that the server will accept it."""
    from ..access.token_file import parse_token_file  # noqa: PLC0415
    from ..clients.config_file import replace_config  # noqa: PLC0415
    from ..clients.errors import ClientConfigError  # noqa: PLC0415

    raw = file.encode(text)
    parse_token_file(file.path, raw)
    try:
        replace_config(file, raw, backup=False)
    except ClientConfigError as error:
        _fail(error.fact)


def _fail(fact: str) -> NoReturn:
    raise SettingsError(fact)


def _format_amount(amount: float | None) -> str | None:
    return None if amount is None else f"{amount:g}"


ACTIONS = {"add": _add, "list": _list, "remove": _remove}
