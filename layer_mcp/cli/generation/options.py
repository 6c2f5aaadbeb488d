"""The options for a generation and for listing models, and the requests they make.

They are derived from Layer's own request and query, so a new field is a new option.
"""

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from ...api.fields import is_uuid
from ...api.models import InferenceRequest, ModelQuery
from ...errors import LayerError
from ...files.paths import input_folders
from ...schema import JsonObject, portable_schema
from ...settings import Settings
from ..parser import CommandParser, UsageError, number, suggest_name, unicode_text, whole_number
from .batch_file import STDIN, read_batch

MAX_PROMPT_BYTES = 1_000_000

FIRST_OPTIONS = ("batch_size", "width", "height", "seed")
# These fields have separate options or are positional arguments.
OWN_OPTIONS = ("model_id", "prompt", "guidance_files", "mask", "search", "limit", "cursor")
SHORT_NAMES = {"batch_size": ("-n",)}
OTHER_NAMES = {"model_id": "--model", "prompt": "PROMPT", "guidance_files": "--reference"}
OTHER_ARGUMENTS = {"max_price_creative_units": "--max-price"}
TYPES: dict[str, Any] = {"integer": whole_number, "number": number, "string": unicode_text}
METAVARS = {"integer": "N", "number": "X", "string": "TEXT"}
DEFAULT_REFERENCE = "reference_image"
URL_MARK = "://"


def add_request_options(command: CommandParser) -> None:
    """Add the prompt, the model, and an option for every plain field of a request."""
    fields = portable_schema(InferenceRequest)["properties"]
    command.add_argument(
        "prompt",
        nargs="?",
        type=unicode_text,
        metavar="PROMPT",
        help='what to make, or "-" to read it from stdin',
    )
    first = command.add_argument_group("what to make")
    first.add_argument(
        "--model",
        type=unicode_text,
        metavar="NAME",
        help="name or ID of the model (LAYER_MODEL)",
    )
    first.add_argument(
        "--from",
        dest="file",
        type=unicode_text,
        metavar="FILE",
        help='file with many prompts, or "-" for stdin; see below',
    )
    first.add_argument(
        "--reference",
        type=unicode_text,
        action="append",
        default=[],
        metavar="[TYPE=]FILE",
        help=f"reference file, such as init=sketch.png ({DEFAULT_REFERENCE}); can be repeated",
    )
    first.add_argument("--mask", type=unicode_text, metavar="FILE", help="mask of the area")
    for name in FIRST_OPTIONS:
        _add_field(first, name, fields[name])
    first.add_argument(
        "--set",
        type=_parse_set,
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="another field of the request; can be repeated",
    )
    others = command.add_argument_group("for some models (layer-mcp model NAME says which)")
    for name, field in fields.items():
        if name not in (*FIRST_OPTIONS, *OWN_OPTIONS):
            _add_field(others, name, field)


def add_model_filters(command: CommandParser) -> None:
    """Add an option for every plain field of a query for models."""
    for name, field in portable_schema(ModelQuery)["properties"].items():
        if name not in OWN_OPTIONS:
            _add_field(command, name, field)


def read_requests(options: argparse.Namespace, settings: Settings) -> list[JsonObject]:
    """Return the arguments of one generation, or of each in the file of --from.

    `model_id` is the name or the ID of a model.

    Raises:
        UsageError: a prompt or a model is missing, or see `read_batch` and `request_arguments`.
    """
    model = options.model or settings.model
    shared = request_arguments(options) | ({"model_id": model} if model else {})
    requests = _read_own(options)
    for place, request in enumerate(requests, 1):
        # An empty prompt is a mistake even next to a reference.
        which = f"request {place}: " if options.file else ""
        if not f"{request.get('prompt', 'x')}".strip():
            raise UsageError(f"{which}The prompt is empty. Say what to make.")
        request.update(shared | request)
        if not request.get("prompt") and not request.get("guidance_files"):
            raise UsageError(
                f'{which}The prompt is missing. Say what to make: layer-mcp generate "a potion".'
            )
        if not request.get("model_id"):
            raise UsageError(
                f"{which}The model is missing. Add --model NAME or set LAYER_MODEL. To list the "
                "models, run layer-mcp models."
            )
    return requests


def _read_own(options: argparse.Namespace) -> list[JsonObject]:
    """Return each request's own fields, without the options that all of them share."""
    if options.file is None:
        prompt = _read_prompt() if options.prompt == STDIN else options.prompt
        own = {"prompt": prompt, "name": getattr(options, "name", None)}
        return [{name: value for name, value in own.items() if value is not None}]
    if options.prompt is not None:
        raise UsageError("Use either a prompt or --from, not both.")
    if getattr(options, "name", None) is not None:
        raise UsageError('With --from, set names in the file: {"prompt": ..., "name": ...}.')
    return read_batch(options.file)


def _read_prompt() -> str:
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        print("Type the prompt, then Ctrl+D.", file=sys.stderr)
    return sys.stdin.buffer.read(MAX_PROMPT_BYTES).decode("utf-8", "replace").strip()


def request_arguments(options: argparse.Namespace) -> JsonObject:
    """Return a generation's arguments except prompt and model, with absolute paths.

    Raises:
        UsageError: another option can't add to the value of --set.
    """
    arguments = given_fields(InferenceRequest, options) | dict(options.set)
    references = [_reference(text) for text in options.reference]
    if references:
        arguments["guidance_files"] = [*_set_value(list, arguments, "guidance_files"), *references]
    if options.mask is not None:
        arguments["mask"] = {**_set_value(dict, arguments, "mask"), **_file(options.mask)}
    return arguments


def _set_value(kind: type[Any], arguments: JsonObject, name: str) -> Any:
    """Return the value that --set gave a field, or an empty one, for another option to extend."""
    value = arguments.get(name, kind())
    if not isinstance(value, kind):
        wanted = "a list" if kind is list else "an object"
        raise UsageError(f"--set {name} must be {wanted}, because another option adds to it.")
    return value


def allow_named_files(settings: Settings, options: argparse.Namespace) -> Settings:
    """Return settings that also allow reading exactly the files named on the command line."""
    try:
        folders = tuple(str(folder) for folder in input_folders(settings))
    except LayerError:
        folders = ()
    return dataclasses.replace(settings, input_dirs=(*folders, *_named_files(options)))


def _named_files(options: argparse.Namespace) -> tuple[str, ...]:
    given = [_reference(text) for text in options.reference]
    given += [_file(options.mask)] if options.mask is not None else []
    return tuple(file["path"] for file in given if "path" in file and URL_MARK not in file["path"])


def option_name(field: str) -> str:
    """Return how to set a field of the request on the command line."""
    schema = portable_schema(InferenceRequest)["properties"].get(field, {})
    if schema.get("type") == "array" and field not in OTHER_NAMES:
        return f"--set {field}=JSON"
    return OTHER_NAMES.get(field) or f"--{field.replace('_', '-')}"


def argument_option(place: str) -> str:
    """Return how to set an argument that an error names. A single word such as width stays."""
    name, dot, rest = place.partition(".")
    if name in InferenceRequest.model_fields and "_" in name:
        return f"{option_name(name)}{dot}{rest}"
    return OTHER_ARGUMENTS.get(place, place)


def given_fields(model: type[Any], options: argparse.Namespace) -> JsonObject:
    """Return the fields of a request or a query that were given as options."""
    names = portable_schema(model)["properties"]
    values = {name: getattr(options, _destination(name), None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _add_field(command: Any, name: str, field: JsonObject) -> None:
    kind = field["type"]
    if kind in ("array", "object"):
        return
    summary = _summary(field)
    option, destination = option_name(name), _destination(name)
    if kind == "boolean":
        command.add_argument(
            option, dest=destination, action=argparse.BooleanOptionalAction, help=summary
        )
        return
    command.add_argument(
        *SHORT_NAMES.get(name, ()),
        option,
        dest=destination,
        type=TYPES[kind],
        choices=field.get("enum"),
        metavar=None if "enum" in field else METAVARS[kind],
        help=summary,
    )


def _summary(field: JsonObject) -> str:
    """Return a field's description in the style of a command line."""
    text = field.get("description", "").rstrip(".")
    if text[1:2].islower():
        text = text[0].lower() + text[1:]
    default = f" ({field['default']})" if "default" in field else ""
    return f"{text}{default}".replace("%", "%%")


def _destination(name: str) -> str:
    return f"field_{name}"


def _parse_set(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    name = name.strip().replace("-", "_")
    known = [known for known in InferenceRequest.model_fields if known != "model_id"]
    if not separator:
        raise argparse.ArgumentTypeError("must be NAME=JSON")
    if name not in known:
        suggestion = suggest_name(name, known)
        raise argparse.ArgumentTypeError(f"{name} isn't a field of a request{suggestion}")
    value = unicode_text(value)
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return name, value
    try:
        json.dumps(parsed, allow_nan=False)
    except ValueError:
        # JSON would turn it into null, and the run would be paid for without the value.
        raise argparse.ArgumentTypeError(f"{name} has a number that is not finite") from None
    return name, parsed


def _reference(text: str) -> JsonObject:
    kind, separator, rest = text.partition("=")
    is_typed = separator and kind.replace("_", "").isalnum() and not Path(text).exists()
    kind, file = (kind, rest) if is_typed else (DEFAULT_REFERENCE, text)
    return {"type": kind, **_file(file)}


def _file(text: str) -> JsonObject:
    """Return a local file, or the ID of one that was uploaded before."""
    if URL_MARK in text:
        return {"path": text}
    # Shells only expand a leading ~, which a prefix such as init= prevents.
    path = Path(os.path.expanduser(text)).absolute()
    if is_uuid(text) and not path.exists():
        return {"file_id": text}
    return {"path": str(path)}
