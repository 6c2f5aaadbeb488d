"""Whether a tool's arguments survive what a framework makes of their schema.

Runs in the environments of the clients, so it needs nothing but the standard library.
"""

from collections.abc import Callable, Iterator
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
    for name, before in tools.items():
        lost = differences(before, convert(name, before))
        assert not lost, f"{name}: {'; '.join(lost)}"


def differences(before: JsonObject, after: JsonObject) -> list[str]:
    """What a converted schema says otherwise: arguments at any depth, choices, what is required.

    A service may require more than the tool does, but nothing less.
    """
    was, became = dict(arguments_of(before)), dict(arguments_of(after))
    missing = [f"{path} is lost" for path in was.keys() - became.keys()]
    added = [f"{path} is new" for path in became.keys() - was.keys()]
    changed = [
        f"{path} has {sorted(_choices(became[path]))} for {sorted(_choices(was[path]))}"
        for path in was.keys() & became.keys()
        if _choices(was[path]) != _choices(became[path])
    ]
    freed = [f"{path} is required no more" for path in required_in(before) - required_in(after)]
    return sorted(missing + added + changed + freed)


def arguments_of(schema: JsonObject, path: str = "") -> Iterator[tuple[str, JsonObject]]:
    """Each argument with its path, as in guidance_files[].type, and its schema."""
    for branch in _branches(schema):
        for name, inner in _object(branch.get("properties")).items():
            yield f"{path}{name}", inner
            yield from arguments_of(inner, f"{path}{name}.")
        items = _object(branch.get("items"))
        if items:
            yield from arguments_of(items, f"{path[:-1]}[].")


def required_in(schema: JsonObject) -> set[str]:
    """The paths of the arguments that must be given."""
    inner = [(f"{path}.", argument) for path, argument in arguments_of(schema)]
    return {
        f"{path}{name}"
        for path, part in [("", schema), *inner]
        for branch in _branches(part)
        for name in _list(branch.get("required"))
    } | {
        f"{path[:-1]}[].{name}"
        for path, part in inner
        for branch in _branches(part)
        for name in _list(_object(branch.get("items")).get("required"))
    }


def _choices(schema: JsonObject) -> set[str]:
    return {
        str(choice)
        for branch in _branches(schema)
        for part in (branch, _object(branch.get("items")))
        for choice in _list(part.get("enum"))
        if choice is not None
    }


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
