"""Whether a tool's arguments survive what a framework makes of their schema.

Runs in the environments of the clients, so it needs nothing but the standard library.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, cast

JsonObject = dict[str, Any]
OPEN_TOOLS = ("estimate_workflow", "execute_batch", "execute_workflow")
"""Tools with an argument whose own arguments nobody can name beforehand."""

Convert = Callable[[str, JsonObject], JsonObject]


def check_conversion(tools: dict[str, JsonObject], convert: Convert) -> None:
    """Convert the arguments' schema of every tool and compare it with what it was.

    Raises:
        AssertionError: a tool has lost or won an argument, a choice or a requirement.
    """
    for name, schema in tools.items():
        # Some convert in place.
        before = deepcopy(schema)
        lost = differences(before, convert(name, schema))
        assert not lost, f"{name}: {'; '.join(lost)}"


def differences(before: JsonObject, after: JsonObject) -> list[str]:
    """What a converted schema says otherwise: arguments at any depth, types, choices, what is open
    to other arguments, what is required.

    A service may require more than the tool does, but nothing less. It may take an object of which
    nothing is known as text, because the server reads JSON in a text as what it says.
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
    """Each argument and each list's items with the path, as in guidance_files[].type."""
    yield path, schema
    for branch in _branches(schema):
        for name, inner in _object(branch.get("properties")).items():
            yield from parts_of(inner, f"{path}.{name}".strip("."))
        items = _object(branch.get("items"))
        if items:
            yield from parts_of(items, f"{path}[]")


def required_in(schema: JsonObject) -> set[str]:
    """The paths of the arguments that must be given."""
    return {
        f"{path}.{name}".strip(".")
        for path, part in parts_of(schema)
        for branch in _branches(part)
        for name in _list(branch.get("required"))
    }


def _change(before: JsonObject, after: JsonObject) -> str:
    """What is said otherwise of one argument; empty when nothing is."""
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
    """Whether it is an object of which nothing is known."""
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
    """A schema and the alternatives that it names."""
    yield schema
    for word in ("anyOf", "any_of", "oneOf", "allOf"):
        for alternative in _list(schema.get(word)):
            yield from _branches(alternative)


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _object(value: object) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}
