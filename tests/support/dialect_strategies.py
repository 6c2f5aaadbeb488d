"""Hypothesis strategies for schemas in the portable dialect."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

SOME_ID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
HUGE = 10**12

Schema = dict[str, Any]
Values = st.SearchStrategy[Any]


# The schemas don't limit the length of a text. This is the smallest limit of the models.
MAX_TEXT_LENGTH = 40
TEXT_LENGTHS = (3, 40, 64, 100, 200, 255, 4096)


def allowed_by(schema: Schema) -> Values:
    """Generate values that the schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return _allowed_of_type(schema["type"], schema)


def near_the_limits(schema: Schema) -> Values:
    """Generate values of any type and around a property's limits; many aren't allowed."""
    numbers = [schema[key] for key in ("minimum", "maximum") if key in schema] or [0]
    lengths = [schema[key] for key in ("minLength", "maxItems") if key in schema]
    return st.one_of(
        allowed_by(schema),
        st.sampled_from([n + step for n in numbers for step in (-1, -0.5, 0, 0.5, 1)]),
        st.sampled_from(
            ["x" * max(n + step, 0) for n in [*lengths, *TEXT_LENGTHS] for step in (-1, 0, 1)]
        ),
        st.sampled_from([True, False, None, "null", "5", "high", SOME_ID, [], {}, [{}]]),
        st.lists(allowed_by(schema), min_size=19, max_size=22),
    )


def each_property(schema: Schema, values: Callable[[Schema], Values]) -> dict[str, Values]:
    """Map each property of an object to a strategy."""
    return {name: values(child) for name, child in schema["properties"].items()}


def _allowed_of_type(kind: str, schema: Schema) -> Values:
    if kind == "object" and "properties" not in schema:
        return st.dictionaries(st.text(max_size=5), st.integers(), max_size=3)
    if kind == "object":
        each = each_property(schema, allowed_by)
        required: list[str] = schema.get("required", [])
        optional = {name: values for name, values in each.items() if name not in required}
        mandatory = {name: each[name] for name in required}
        return st.fixed_dictionaries(mandatory, optional=optional)
    if kind == "array":
        return st.lists(
            allowed_by(schema["items"]),
            min_size=schema.get("minItems", 0),
            max_size=min(schema.get("maxItems", 4), 4),
        )
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        return st.integers(schema.get("minimum", -HUGE), schema.get("maximum", HUGE))
    if kind == "number":
        return st.floats(schema.get("minimum", -HUGE), schema.get("maximum", HUGE))
    if "pattern" in schema:
        return st.uuids().map(str)
    return st.text(
        st.characters(codec="utf-8"),
        min_size=schema.get("minLength", 0),
        max_size=MAX_TEXT_LENGTH,
    )
