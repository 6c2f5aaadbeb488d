"""JSON schemas of pydantic models in the dialect that every MCP client accepts.

Schemas are flat: one plain `type` on each property and nested models written in place, without
`$ref`, `anyOf`, `const`, `format`, titles, null branches, or null defaults. A limit that the
dialect can't express (a number above 0) stays in the description and in the model. So does the
maximum length of a text, because agents don't count letters and every list of tools costs tokens.
"""

from functools import cache
from typing import Any, cast

from pydantic import BaseModel

JsonObject = dict[str, Any]

KEPT_KEYWORDS = frozenset(
    {
        "type",
        "description",
        "enum",
        "default",
        "minimum",
        "maximum",
        "minLength",
        "minItems",
        "maxItems",
        "pattern",
        "required",
        "additionalProperties",
    }
)
OUTLINE_KEYWORDS = frozenset({"type", "enum", "required", "additionalProperties"})
SHAPE_KEYWORDS = frozenset({"type", "enum"})
# Only in the sandbox's answers, and always true there.
UNLISTED_FACTS = frozenset({"simulated"})


@cache
def portable_schema(model: type[BaseModel]) -> JsonObject:
    """Return a model's schema in the portable dialect, without the docstrings for developers."""
    schema = model.model_json_schema()
    definitions = {
        name: _without_docstring(definition) for name, definition in schema.get("$defs", {}).items()
    }
    return _portable(_without_docstring(schema), definitions)


@cache
def answer_schema(model: type[BaseModel]) -> JsonObject:
    """Return the outline of a tool's answers, in which only the next step is required.

    Some clients validate the structured content of a failed call against this schema. Few show it
    to their model, so it names nothing inside nested objects.
    """
    schema = outline(portable_schema(model), SHAPE_KEYWORDS)
    listed = {
        name: _without_properties(fact)
        for name, fact in schema["properties"].items()
        if name not in UNLISTED_FACTS
    }
    return {**schema, "properties": listed, "required": ["next_step"]}


def outline(schema: JsonObject, keywords: frozenset[str] = OUTLINE_KEYWORDS) -> JsonObject:
    """Reduce a schema to its names and types; the model still enforces the limits."""
    result = {key: value for key, value in schema.items() if key in keywords}
    if "properties" in schema:
        result["properties"] = {
            name: outline(value, keywords) for name, value in schema["properties"].items()
        }
    if "items" in schema:
        result["items"] = outline(schema["items"], keywords)
    return result


def _without_properties(schema: JsonObject) -> JsonObject:
    """Leave the type of a fact, and of the items of a list."""
    result = {key: value for key, value in schema.items() if key != "properties"}
    if "items" in schema:
        result["items"] = _without_properties(schema["items"])
    return result


def _without_docstring(schema: JsonObject) -> JsonObject:
    return {key: value for key, value in schema.items() if key != "description"}


def _portable(schema: JsonObject, definitions: JsonObject) -> JsonObject:
    schema = _without_null(_dereferenced(schema, definitions), definitions)
    result = {key: value for key, value in schema.items() if key in KEPT_KEYWORDS}
    if result.get("default") in (None, [], {}):
        result.pop("default", None)
    if "exclusiveMinimum" in schema:
        step = 1 if schema.get("type") == "integer" else 0
        result["minimum"] = schema["exclusiveMinimum"] + step
    if "properties" in schema:
        result["properties"] = {
            name: _portable(value, definitions) for name, value in schema["properties"].items()
        }
    if "items" in schema:
        result["items"] = _portable(schema["items"], definitions)
    return result


def _dereferenced(schema: JsonObject, definitions: JsonObject) -> JsonObject:
    """Replace a `$ref` by its definition; the reference's own description wins."""
    if "$ref" not in schema:
        return schema
    name = cast(str, schema["$ref"]).rpartition("/")[2]
    siblings = {key: value for key, value in schema.items() if key != "$ref"}
    return {**definitions[name], **siblings}


def _without_null(schema: JsonObject, definitions: JsonObject) -> JsonObject:
    """Replace `T | None` by T, because callers omit an optional argument."""
    branches = [branch for branch in schema.get("anyOf", []) if branch.get("type") != "null"]
    if not branches:
        return schema
    if len(branches) > 1:
        raise ValueError("A property with several types does not fit the portable dialect.")
    siblings = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**_dereferenced(branches[0], definitions), **siblings}
