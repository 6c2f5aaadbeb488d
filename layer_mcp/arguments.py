"""Parsing and validation of arguments of tools and commands; errors fit in one short sentence."""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .errors import Argument, LayerError, MessagePart
from .schema import JsonObject

MAX_PROBLEMS_NAMED = 3
RULES = {
    "missing": "is missing",
    "string_pattern_mismatch": "must be a UUID",
    "string_type": "must be text",
    "string_unicode": "must be text in Unicode",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "number": "must be a number",
    "int_parsing_size": "is too large",
    "too_large": "must be smaller",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
}
PYDANTIC_SUBJECT = re.compile(r"^(Input|String|List|Value|Dictionary) should ")

ModelT = TypeVar("ModelT", bound=BaseModel)


def parse_arguments(model: type[ModelT], schema: JsonObject, arguments: JsonObject) -> ModelT:
    """Validate arguments and return them as a model.

    Because of what some clients send, `null`, `"null"`, and `""` mean "not given", and an object or
    array that arrives as a string is parsed.

    Raises:
        LayerError: INVALID_ARGUMENTS, naming the field, the limit, and the nearest name.
    """
    try:
        return model.model_validate(normalize(arguments, schema))
    except ValidationError as error:
        sentence = list(_describe(error.errors(), schema))
        raise LayerError("INVALID_ARGUMENTS", sentence) from None


def normalize(value: Any, schema: JsonObject) -> Any:
    """Remove arguments that were not given, and parse JSON that arrived as a string."""
    kind = schema.get("type")
    if kind in ("object", "array") and isinstance(value, str):
        value = _parse_json(value)
    if kind == "object" and isinstance(value, dict):
        properties: JsonObject = schema.get("properties", {})
        return {
            name: normalize(item, properties.get(name, {}))
            for name, item in cast(JsonObject, value).items()
            if name not in properties or not _is_absent(item)
        }
    if kind == "array" and isinstance(value, list):
        return [normalize(item, schema.get("items", {})) for item in cast("list[Any]", value)]
    return value


def _is_absent(value: object) -> bool:
    return value is None or value in ("", "null")


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _describe(errors: Sequence[ErrorDetails], schema: JsonObject) -> Iterator[MessagePart]:
    for number, error in enumerate(errors[:MAX_PROBLEMS_NAMED]):
        if number:
            yield "; "
        place = ".".join(str(part)[:60] for part in error["loc"])
        yield Argument(place) if place else "arguments"
        yield _describe_problem(error, schema)
    more_count = len(errors) - MAX_PROBLEMS_NAMED
    yield f"; and {more_count} more." if more_count > 0 else "."


def _describe_problem(error: ErrorDetails, schema: JsonObject) -> str:
    if error["type"] == "extra_forbidden":
        return f" is not an argument{_suggestion(error, schema)}"
    message = error["msg"].partition(" after validation")[0]
    rule = RULES.get(error["type"]) or PYDANTIC_SUBJECT.sub("must ", message)
    given = error["input"]
    shown = f", not {given}" if isinstance(given, int | float) and len(str(given)) < 20 else ""
    return f" {rule}{shown}" if rule.startswith(("must", "is ")) else f": {rule}"


def _suggestion(error: ErrorDetails, schema: JsonObject) -> str:
    location = error["loc"]
    for part in location[:-1]:
        schema = schema.get("items", {}) if isinstance(part, int) else _property(schema, part)
    names = list(schema.get("properties", {}))
    given = cast("JsonObject | None", error["input"] if isinstance(error["input"], dict) else None)
    if given is not None and not given.keys().isdisjoint(names):
        return " (arguments are flat: pass what is in it directly)"
    wrong = str(location[-1]).lower().replace("-", "_")
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    return f' (did you mean "{near[0]}"?)' if near else ""


def _property(schema: JsonObject, name: str) -> JsonObject:
    return schema.get("properties", {}).get(name, {})
