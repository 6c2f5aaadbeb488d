"""Check whether a tool's arguments survive a framework's conversion of their schema.

Runs in the environments of the clients, so it needs nothing but the standard library.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, cast

JsonObject = dict[str, Any]
OPEN_TOOLS = ("estimate_workflow", "execute_workflow")
"""Tools with an argument whose properties aren't known in advance."""

Convert = Callable[[str, JsonObject], JsonObject]


def check_conversion(tools: dict[str, JsonObject], convert: Convert) -> None:
    """Convert the arguments' schema of every tool and compare it with the original.

    Raises:
        AssertionError: a tool has lost or gained an argument, a choice, or a requirement.
    """
    for name, schema in tools.items():
        # Some frameworks convert the schema in place.
        before = deepcopy(schema)
        lost = differences(before, convert(name, schema))
        assert not lost, f"{name}: {'; '.join(lost)}"


def differences(before: JsonObject, after: JsonObject) -> list[str]:
    """List the differences in a converted schema: arguments at any depth, types, choices, whether
    other arguments are allowed, and which ones are required.

    A service may require more than the tool does, but not less. It may accept an object with
    unknown properties as text, because the server parses JSON in text.
    """
    was, became = dict(parts_of(before)), dict(parts_of(after))
    freed = required_in(before) - required_in(after)
    both = sorted(was.keys() & became.keys())
    return [
        *[f"{path} is lost" for path in sorted(was.keys() - became.keys())],
        *[f"{path} is new" for path in sorted(became.keys() - was.keys())],
        *[f"{path} {change}" for path in both if (change := _change(was[path], became[path]))],
        *[f"{path} is required no more" for path in sorted(freed)],
    ]


def parts_of(schema: JsonObject, path: str = "") -> Iterator[tuple[str, JsonObject]]:
    """Yield each argument and each list's items with the path, such as guidance_files[].type."""
    yield path, schema
    for branch in _branches(schema):
        for name, inner in _object(branch.get("properties")).items():
            yield from parts_of(inner, f"{path}.{name}".strip("."))
        items = _object(branch.get("items"))
        if items:
            yield from parts_of(items, f"{path}[]")


def required_in(schema: JsonObject) -> set[str]:
    """Return the paths of the required arguments."""
    return {
        f"{path}.{name}".strip(".")
        for path, part in parts_of(schema)
        for branch in _branches(part)
        for name in _list(branch.get("required"))
    }


def _change(before: JsonObject, after: JsonObject) -> str:
    """Describe how one argument changed; empty if it didn't."""
    was, became = _types(before), _types(after)
    text_for_anything = _is_open(before) and became == {"string"}
    if not (was <= became or text_for_anything):
        return f"is {sorted(became)}, was {sorted(was)}"
    if _is_open(before) and not (_is_open(after) or text_for_anything):
        return "takes nothing, took anything"
    if _choices(before) != _choices(after):
        return f"has {sorted(_choices(after))}, had {sorted(_choices(before))}"
    return ""


def _is_open(schema: JsonObject) -> bool:
    """Return whether it's an object whose properties aren't known."""
    return any(
        "object" in _types(branch)
        and not branch.get("properties")
        and branch.get("additionalProperties") is not False
        for branch in _branches(schema)
    )


def _types(schema: JsonObject) -> set[str]:
    types = [branch.get("type") for branch in _branches(schema)]
    named = [name for each in types for name in (_list(each) or [each]) if name]
    return {str(name).lower() for name in named} - {"null"}


def _choices(schema: JsonObject) -> set[str]:
    choices = [_list(branch.get("enum")) for branch in _branches(schema)]
    return {str(choice) for each in choices for choice in each if choice is not None}


def _branches(schema: JsonObject) -> Iterator[JsonObject]:
    """Yield a schema and its alternatives."""
    yield schema
    for word in ("anyOf", "any_of", "oneOf", "allOf"):
        for alternative in _list(schema.get(word)):
            yield from _branches(alternative)


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _object(value: object) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}
