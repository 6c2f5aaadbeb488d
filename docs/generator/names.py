"""The public names of the package, with their signatures, fields and docstrings."""

import dataclasses
import inspect
import re
import textwrap
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

import layer_mcp

from .tables import table

ELSEWHERE = {
    "Settings": "The settings as a value. `Settings.from_env()` reads [them](settings.md).",
    "__version__": "The version of the package, as text.",
}
FIRST = ("open_runs", "Runs", "Run", "LayerClient", "LayerError", "InferenceRequest", "Settings")
WITH_METHODS = ("LayerClient", "Runs")


def public_names() -> str:
    """Return a section for each name, the most used first."""
    names = [*FIRST, *(name for name in layer_mcp.__all__ if name not in FIRST)]
    return "\n\n".join(_section(name) for name in names)


def _section(name: str) -> str:
    named: Any = getattr(layer_mcp, name)
    parts = [f"## `{name}`" if name.startswith("_") else f"## {name}"]
    if name in ELSEWHERE:
        return "\n\n".join([*parts, ELSEWHERE[name]])
    if inspect.isfunction(named):
        parts.append(f"```text\n{name}{_signature(named)}\n```")
    parts.append(_docstring(named))
    if inspect.isclass(named) and issubclass(named, BaseModel):
        parts.append(_fields(named))
    elif name in WITH_METHODS:
        methods = [one for one in vars(named) if one[0] != "_" and callable(getattr(named, one))]
        parts += [_method(named, method) for method in methods]
    elif dataclasses.is_dataclass(named):
        parts.append(_attributes(named))
    return "\n\n".join(parts)


def _fields(model: type[BaseModel]) -> str:
    rows = [
        (f"`{name}`", f"`{_type(field.annotation)}`", field.description or "")
        for name, field in model.model_fields.items()
    ]
    return table(("field", "type", "what it is"), rows)


def _attributes(owning: Any) -> str:
    """Return the fields of a dataclass; its docstring describes them."""
    rows = [(f"`{one.name}`", f"`{_type(one.type)}`") for one in dataclasses.fields(owning)]
    return table(("field", "type"), rows)


def _method(owning: Any, name: str) -> str:
    static = inspect.getattr_static(owning, name)
    method = getattr(owning, name)
    prefix = "async " if inspect.iscoroutinefunction(method) else ""
    owner = f"{owning.__name__}." if isinstance(static, classmethod) else ""
    call = f"{prefix}{owner}{name}{_signature(method)}"
    return f"### {name}\n\n```text\n{call}\n```\n\n{_docstring(method)}"


def _signature(method: Any) -> str:
    signature = inspect.signature(method)
    kept = [one for one in signature.parameters.values() if one.name != "self"]
    parts: list[str] = []
    for one in kept:
        if one.kind is one.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        stars = "**" if one.kind is one.VAR_KEYWORD else ""
        default = "" if one.default is one.empty else f" = {one.default!r}"
        parts.append(f"{stars}{one.name}: {_type(one.annotation)}{default}")
    line = f"({', '.join(parts)}) -> {_type(signature.return_annotation)}"
    if len(line) < 70:
        return line
    inner = "".join(f"    {part},\n" for part in parts)
    return f"(\n{inner}) -> {_type(signature.return_annotation)}"


def _type(annotation: Any) -> str:
    """Return a type as a person would write it: names without modules, no validators."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(parts[0])
    if origin in (Union, UnionType):
        return " | ".join(_type(branch) for branch in parts)
    if annotation is ...:
        return "..."
    if origin is Literal:
        return " | ".join(repr(value) for value in parts)
    if isinstance(annotation, str):
        return annotation.replace("'", "")
    if isinstance(annotation, type) and parts:
        text = f"{annotation.__name__}[{', '.join(_type(one) for one in parts)}]"
    elif annotation is NoneType:
        text = "None"
    elif isinstance(annotation, type):
        text = annotation.__name__
    else:
        text = inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=\w)|'", "", text)


def _docstring(named: Any) -> str:
    text = inspect.getdoc(named) or ""
    before, _, raised = text.partition("\nRaises:\n")
    if not raised:
        return text
    errors = "\n".join(f"- {line.strip()}" for line in _joined(raised))
    return f"{before.strip()}\n\nRaises:\n\n{errors}"


def _joined(raised: str) -> list[str]:
    """Return the lines of a section, each joined with its continuation lines."""
    lines: list[str] = []
    for line in textwrap.dedent(raised).splitlines():
        if line.startswith(" ") and lines:
            lines[-1] += f" {line.strip()}"
        elif line:
            lines.append(line)
    return lines
