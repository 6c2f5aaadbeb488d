"""Options that come from Layer's own request and query, so that a new field is one by itself."""

import argparse
import json
import os
import re
from pathlib import Path
from typing import Any

from ..api.fields import is_uuid
from ..api.models import InferenceRequest, ModelQuery
from ..server.schema import JsonObject, portable_schema
from .argument_types import UsageError, number, unicode_text, whole_number
from .command_parser import CommandParser, nearest

FIRST_OPTIONS = ("batch_size", "width", "height", "seed")
# They have options of their own, or are what a command is about.
OWN_OPTIONS = ("model_id", "prompt", "guidance_files", "mask", "search", "limit", "cursor")
SHORT_NAMES = {"batch_size": ("-n",)}
OTHER_NAMES = {"model_id": "--model", "prompt": "PROMPT", "guidance_files": "--reference"}
# Arguments of the tools beside the request. A word alone, such as width, is English too.
TOOL_OPTIONS = {"max_price_creative_units": "--max-price", "workspace_id": "--workspace"}
NAME_OF_WORDS = re.compile(r"(?<![\w/.-])[a-z0-9]+(?:_[a-z0-9]+)+(?![\w/-])")
TYPES: dict[str, Any] = {"integer": whole_number, "number": number, "string": unicode_text}
METAVARS = {"integer": "N", "number": "X", "string": "TEXT"}
DEFAULT_REFERENCE = "reference_image"
ADDRESS = "://"


def add_request_options(command: CommandParser) -> None:
    """What a generation takes: the prompt, the model, and every plain field of the request."""
    fields = portable_schema(InferenceRequest)["properties"]
    command.add_argument(
        "prompt", nargs="?", type=unicode_text, metavar="PROMPT", help='what to make; "-" for stdin'
    )
    first = command.add_argument_group("what to make")
    first.add_argument(
        "--model", type=unicode_text, metavar="NAME", help="name or id of a model; needed"
    )
    first.add_argument(
        "--reference",
        type=unicode_text,
        action="append",
        default=[],
        metavar="[TYPE=]FILE",
        help=f"a picture to go by, such as init=sketch.png ({DEFAULT_REFERENCE}); may be repeated",
    )
    first.add_argument("--mask", type=unicode_text, metavar="FILE", help="the area to paint")
    for name in FIRST_OPTIONS:
        _add_field(first, name, fields[name])
    first.add_argument(
        "--set",
        type=_named_value,
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="any other field of the request; may be repeated",
    )
    others = command.add_argument_group("for some models (layer-mcp model NAME says which)")
    for name, field in fields.items():
        if name not in (*FIRST_OPTIONS, *OWN_OPTIONS):
            _add_field(others, name, field)


def add_model_filters(command: CommandParser) -> None:
    """By what models can be chosen: every plain field of the query."""
    for name, field in portable_schema(ModelQuery)["properties"].items():
        if name not in OWN_OPTIONS:
            _add_field(command, name, field)


def option_of(field: str) -> str:
    """How a field of the request is given on the command line."""
    schema = portable_schema(InferenceRequest)["properties"].get(field, {})
    if schema.get("type") == "array" and field not in OTHER_NAMES:
        return f"--set {field}=JSON"
    return OTHER_NAMES.get(field) or f"--{field.replace('_', '-')}"


def in_options(text: str) -> str:
    """A sentence of a tool, with its arguments named as on the command line."""

    def named(found: re.Match[str]) -> str:
        if found[0] in InferenceRequest.model_fields:
            return option_of(found[0])
        return TOOL_OPTIONS.get(found[0], found[0])

    return NAME_OF_WORDS.sub(named, text)


def chosen_fields(model: type[Any], options: argparse.Namespace) -> JsonObject:
    """The fields of a request or a query that options were given for."""
    names = portable_schema(model)["properties"]
    values = {name: getattr(options, _destination(name), None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def request_arguments(options: argparse.Namespace, prompt: str | None) -> JsonObject:
    """The arguments of a generation, but for the model; paths are absolute.

    Raises:
        UsageError: there is nothing to make, or --set names what another option cannot add to.
    """
    arguments = chosen_fields(InferenceRequest, options) | dict(options.set)
    references = [_reference(text) for text in options.reference]
    if references:
        arguments["guidance_files"] = [*_set_before(list, arguments, "guidance_files"), *references]
    if options.mask is not None:
        arguments["mask"] = {**_set_before(dict, arguments, "mask"), **_file(options.mask)}
    if prompt is not None:
        arguments["prompt"] = prompt
    if not arguments.get("prompt") and not arguments.get("guidance_files"):
        raise UsageError('The prompt is missing. Say what to make: layer-mcp generate "a potion".')
    return arguments


def named_files(options: argparse.Namespace) -> tuple[str, ...]:
    """The local files that the command line names; they may be read wherever they are."""
    given = [_reference(text) for text in options.reference]
    given += [_file(options.mask)] if options.mask is not None else []
    return tuple(file["path"] for file in given if "path" in file and ADDRESS not in file["path"])


def _set_before(kind: type[Any], arguments: JsonObject, name: str) -> Any:
    """What --set gave for a field that another option adds to; empty when it gave nothing."""
    value = arguments.get(name, kind())
    if not isinstance(value, kind):
        wanted = "a list" if kind is list else "an object"
        raise UsageError(f"--set {name} must be {wanted}, as an option adds to it.")
    return value


def _add_field(command: Any, name: str, field: JsonObject) -> None:
    kind = field["type"]
    if kind in ("array", "object"):
        return
    described = _described(field)
    option, destination = option_of(name), _destination(name)
    if kind == "boolean":
        command.add_argument(
            option, dest=destination, action=argparse.BooleanOptionalAction, help=described
        )
        return
    command.add_argument(
        *SHORT_NAMES.get(name, ()),
        option,
        dest=destination,
        type=TYPES[kind],
        choices=field.get("enum"),
        metavar=None if "enum" in field else METAVARS[kind],
        help=described,
    )


def _described(field: JsonObject) -> str:
    """A field's own description in the style of a command line."""
    text = field.get("description", "").rstrip(".")
    if text[1:2].islower():
        text = text[0].lower() + text[1:]
    default = f" ({field['default']})" if "default" in field else ""
    return f"{text}{default}".replace("%", "%%")


def _destination(name: str) -> str:
    return f"field_{name}"


def _named_value(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    name = name.strip().replace("-", "_")
    known = [known for known in InferenceRequest.model_fields if known != "model_id"]
    if not separator:
        raise argparse.ArgumentTypeError("must be NAME=JSON")
    if name not in known:
        raise argparse.ArgumentTypeError(f"{name} is no field of a request{nearest(name, known)}")
    value = unicode_text(value)
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return name, value
    try:
        json.dumps(parsed, allow_nan=False)
    except ValueError:
        # On the way to the tool it would become null, and the run would be paid without it.
        raise argparse.ArgumentTypeError(f"{name} has a number that is not finite") from None
    return name, parsed


def _reference(text: str) -> JsonObject:
    kind, separator, rest = text.partition("=")
    is_typed = separator and kind.replace("_", "").isalnum() and not Path(text).exists()
    kind, file = (kind, rest) if is_typed else (DEFAULT_REFERENCE, text)
    return {"type": kind, **_file(file)}


def _file(text: str) -> JsonObject:
    """A file of this machine, or the id of one that Layer has."""
    if ADDRESS in text:
        return {"path": text}
    # Shells leave a ~ within an argument, and a prefix such as init= makes it that.
    path = Path(os.path.expanduser(text)).absolute()
    if is_uuid(text) and not path.exists():
        return {"file_id": text}
    return {"path": str(path)}
