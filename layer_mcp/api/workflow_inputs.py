"""Check a workflow's inputs against its JSON Schemas, and replace local files in them.

Layer returns a schema for each input. Invalid inputs are rejected before anything is sent, because
a run that Layer accepts is charged.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from ..errors import LayerError
from ..text.plain_text import one_line
from .fields import is_uuid
from .models import Workflow, WorkflowInput

MAX_PROBLEMS = 3
MAX_RULE_LENGTH = 160
FILE_WORDS = frozenset({"file", "image", "video", "audio", "mask", "mesh"})
LIST_WORDS = frozenset({"list", "array", "of"})
# In a schema from Layer, these may run forever or need another regex engine, so Layer checks them.
COSTLY_KEYWORDS = frozenset(
    {"pattern", "patternProperties", "unevaluatedProperties", "uniqueItems"}
)
NAMED_SCHEMAS = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
VALUES = frozenset({"enum", "const"})
SIMPLE_RULES = frozenset({"type", "enum", "minimum", "maximum", "maxLength"})
RULES = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "const": "must be {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be greater than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "required": "must have the fields {}",
    "additionalProperties": "has a field that isn't allowed",
}
MAX_INPUTS_CHARACTERS = 500_000
MAX_REASON_LENGTH = 120


def check_inputs(workflow: Workflow, inputs: Mapping[str, Any]) -> None:
    """Reject invalid inputs; each file must already be a file ID.

    Raises:
        LayerError: INVALID_ARGUMENTS, with the input and its rule.
    """
    if len(json.dumps(inputs)) > MAX_INPUTS_CHARACTERS:
        sentence = f"inputs are longer than {MAX_INPUTS_CHARACTERS:,} characters."
        raise LayerError("INVALID_ARGUMENTS", sentence)
    problems = [*_missing(workflow, inputs), *_unknown(workflow, inputs)]
    for entry in workflow.inputs:
        if entry.name in inputs:
            problems += _broken_rules(entry, inputs[entry.name])
    if problems:
        more = len(problems) - MAX_PROBLEMS
        named = "; ".join(problems[:MAX_PROBLEMS])
        sentence = f"{named}{f'; and {more} more' if more > 0 else ''}."
        raise LayerError("INVALID_ARGUMENTS", sentence)


def local_paths(workflow: Workflow, inputs: Mapping[str, Any]) -> list[str]:
    """Return the local files in the inputs, without duplicates."""
    found = [
        path
        for entry in workflow.inputs
        if is_file_input(entry)
        for path in _find_paths(inputs.get(entry.name))
    ]
    return list(dict.fromkeys(found))


def with_file_ids(
    workflow: Workflow, inputs: Mapping[str, Any], file_ids: Mapping[str, str]
) -> dict[str, Any]:
    """Replace each local file in the inputs by its ID, in the form that the schema requires."""
    entries = {entry.name: entry for entry in workflow.inputs if is_file_input(entry)}
    return {
        name: _replace_paths(value, entries[name].value_schema or {}, file_ids)
        if name in entries
        else value
        for name, value in inputs.items()
    }


def without_local_files(workflow: Workflow, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs without those that still name a local file."""
    entries = {entry.name for entry in workflow.inputs if is_file_input(entry)}
    return {
        name: value
        for name, value in inputs.items()
        if name not in entries or not any(_find_paths(value))
    }


def is_file_input(entry: WorkflowInput) -> bool:
    """Return whether an input is a file or a "list of" files, by its type."""
    words = re.findall("[a-z0-9]+", (entry.type or "").lower())
    kinds = [word.removesuffix("s") for word in words if word not in LIST_WORDS]
    return len(kinds) == 1 and kinds[0] in FILE_WORDS


def describe_input(entry: WorkflowInput) -> str:
    """Describe an input: its type, choices or limits, and default."""
    schema = entry.value_schema or {}
    kind = "file_id or local path" if is_file_input(entry) else schema.get("type") or entry.type
    facts = [str(kind or "any value")]
    if isinstance(schema.get("enum"), list):
        facts = ["one of " + ", ".join(str(choice) for choice in schema["enum"])]
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        facts.append(f"{'' if low is None else low}..{'' if high is None else high}")
    if "maxLength" in schema:
        facts.append(f"at most {schema['maxLength']} characters")
    if entry.default is not None:
        facts.append(f"default {json.dumps(entry.default, ensure_ascii=False)}")
    rule = ", ".join(facts)
    return rule if len(rule) <= MAX_RULE_LENGTH else rule[: MAX_RULE_LENGTH - 3] + "..."


def _missing(workflow: Workflow, inputs: Mapping[str, Any]) -> Iterator[str]:
    for entry in workflow.inputs:
        if entry.required and entry.default is None and inputs.get(entry.name) is None:
            yield f"inputs.{entry.name} is missing ({describe_input(entry)})"


def _unknown(workflow: Workflow, inputs: Mapping[str, Any]) -> Iterator[str]:
    names = [entry.name for entry in workflow.inputs]
    for name in inputs:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f' (did you mean "{near[0]}"?)' if near else f" (available: {', '.join(names)})"
            yield f"inputs.{name[:60]} is not an input of this workflow{hint}"


def _broken_rules(entry: WorkflowInput, value: Any) -> Iterator[str]:
    """Yield where a value violates its schema. If the schema is invalid, Layer decides."""
    # Imported late: only workflows need these, and a server must start fast.
    from jsonschema import Draft202012Validator, SchemaError  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    try:
        schema = _without_costly_rules(entry.value_schema or {})
        Draft202012Validator.check_schema(schema)
        # An empty registry: a reference in a foreign schema must not fetch anything.
        validator = Draft202012Validator(schema, registry=Registry())
        errors = list(validator.iter_errors(value))  # pyright: ignore[reportUnknownMemberType]
    except (SchemaError, Unresolvable, RecursionError, ValueError, ArithmeticError):
        return
    for error in errors:
        place = ".".join(["inputs", entry.name, *(str(part) for part in error.absolute_path)])
        if error.absolute_path or error.validator not in SIMPLE_RULES:
            yield f"{place} {_describe_rule(str(error.validator), error.validator_value)}"
        else:
            yield f"{place} must be {describe_input(entry)}"


def _describe_rule(rule: str, limit: Any) -> str:
    """Describe a rule. The validator's own message would repeat the value."""
    shown = one_line(json.dumps(limit, ensure_ascii=False), MAX_REASON_LENGTH)
    words = RULES.get(rule, f"must match the rule {rule} of its schema")
    return words.format(shown)


def _without_costly_rules(schema: Any) -> Any:
    """Return a schema, or a list of schemas, that checks no more and always terminates."""
    if isinstance(schema, list):
        return [_without_costly_rules(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    rules = cast("dict[str, Any]", schema)
    # additionalProperties depends on the patterns, and would reject valid inputs without them.
    dependent = {"additionalProperties"} if "patternProperties" in rules else set[str]()
    kept: dict[str, Any] = {}
    for name, value in rules.items():
        if name in NAMED_SCHEMAS and isinstance(value, dict):
            schemas = cast("dict[str, Any]", value)
            kept[name] = {key: _without_costly_rules(item) for key, item in schemas.items()}
        elif name not in COSTLY_KEYWORDS | dependent:
            cheap = _without_costly_rules(value)
            # A reference may point into a value, so values with these keywords are dropped.
            if name not in VALUES or cheap == value:
                kept[name] = cheap
    return kept


def _find_paths(value: Any) -> Iterator[str]:
    """Yield the local paths in a file input's value: text that isn't an ID, or {"path": ...}."""
    if isinstance(value, str) and not is_uuid(value):
        yield value
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _find_paths(item)
    elif isinstance(value, dict):
        path = cast("dict[str, Any]", value).get("path")
        if isinstance(path, str):
            yield path


def _replace_paths(value: Any, schema: Mapping[str, Any], file_ids: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        items = cast("dict[str, Any]", schema.get("items") or {})
        return [_replace_paths(item, items, file_ids) for item in cast("list[Any]", value)]
    given: dict[str, Any] = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    file_id = file_ids.get(str(given.get("path", value)))
    if file_id is None:
        return cast(Any, value)
    if schema.get("type") != "object":
        return file_id
    return {name: item for name, item in given.items() if name != "path"} | {"file_id": file_id}
