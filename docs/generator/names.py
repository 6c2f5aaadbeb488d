"""The public names of the package, with their signatures, fields and docstrings."""

import dataclasses
import inspect
import json
import textwrap
from types import FunctionType, NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ForwardRef,
    Literal,
    Union,
    Unpack,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from pydantic import BaseModel

import layer_mcp
from layer_mcp.api import download, upload
from layer_mcp.errors import ERROR_CODES, LayerError, class_of

from .tables import table

ELSEWHERE = {
    "Settings": "The settings as a value. `Settings.from_env()` reads [them](settings.md).",
    "__version__": "The version of the package, as text.",
}
FIRST = ("open_runs", "Runs", "Run", "LayerClient", "LayerError", "InferenceDraft", "Settings")
WITH_METHODS = (
    "CallBudget",
    "LayerClient",
    "MadeFile",
    "ManifestTotals",
    "Runs",
    "SavedOutputs",
    "Submissions",
)
# A program passes keywords, which are listed instead of a value that has them.
VALUES = {"query"}
# Types that a module imports only for annotations.
LAZY_TYPES = {
    "Downloaded": download.Downloaded,
    "OnBytes": upload.OnBytes,
    "OnReceivedBytes": download.OnBytes,
    "OnVersion": download.OnVersion,
    "Preview": layer_mcp.Preview,
    "Version": download.Version,
}


def public_names() -> str:
    """Return a section for each name, the most used first."""
    names = [*FIRST, *(name for name in layer_mcp.__all__ if name not in FIRST)]
    return "\n\n".join(_section(name) for name in names)


def _section(name: str) -> str:
    named: Any = getattr(layer_mcp, name)
    parts = [f"## `{name}`" if name.startswith("_") else f"## {name}"]
    if name in ELSEWHERE:
        return "\n\n".join([*parts, ELSEWHERE[name]])
    if get_origin(named) is Literal:
        return "\n\n".join([*parts, f"One of {_literal(named)}."])
    if inspect.isfunction(named):
        parts.append(f"```text\nasync with {name}{_signature(named, context=True)}\n```")
    elif name == "LayerClient":
        parts.append(f"```text\n{name}{_signature(named.__init__)}\n```")
    parts.append(_docstring(named))
    if inspect.isclass(named):
        parts += _members(named)
    return "\n\n".join(parts)


def _members(named: Any) -> list[str]:
    """Return the members of a class: its fields, properties, and methods."""
    if issubclass(named, LayerError):
        if named is LayerError:
            classes = [one for one in layer_mcp.__all__ if _is_error(getattr(layer_mcp, one))]
            return [f"Its classes are {', '.join(f'[{one}](#{one.lower()})' for one in classes)}."]
        codes = [code for code in ERROR_CODES if class_of(code) is named]
        return [f"Codes: {', '.join(f'`{code}`' for code in codes)}."]
    if issubclass(named, BaseModel):
        return [_fields(named)]
    parts: list[str] = []
    if dataclasses.is_dataclass(named):
        parts.append(_attributes(named))
    elif is_typeddict(named):
        rows = [(f"`{name}`", f"`{_type(one)}`") for name, one in get_type_hints(named).items()]
        parts.append(table(("field", "type"), rows))
    own = [one for one in vars(named) if one[0] != "_"]
    properties = [one for one in own if isinstance(vars(named)[one], property)]
    if properties:
        rows = [(f"`{one}`", _property_type(named, one), _first(named, one)) for one in properties]
        parts.append(table(("property", "type", "description"), rows))
    own = own if getattr(named, "__name__", "") in WITH_METHODS else []
    methods = [one for one in own if isinstance(vars(named)[one], MethodKinds)]
    return parts + [_method(named, method) for method in methods]


MethodKinds = (FunctionType, classmethod, staticmethod)
LITERALS = {
    named: name
    for name in layer_mcp.__all__
    if get_origin(named := getattr(layer_mcp, name)) is Literal
}


def _is_error(named: object) -> bool:
    return isinstance(named, type) and issubclass(named, LayerError) and named is not LayerError


def _property_type(named: Any, name: str) -> str:
    found: Any = inspect.getattr_static(named, name)
    return f"`{_type(inspect.signature(found.fget).return_annotation)}`"


def _first(named: Any, name: str) -> str:
    found: Any = inspect.getattr_static(named, name)
    return (inspect.getdoc(found) or "").partition("\n\n")[0]


def _literal(named: Any) -> str:
    return ", ".join(f"`{json.dumps(value)}`" for value in get_args(named))


def _fields(model: type[BaseModel]) -> str:
    rows = [
        (f"`{name}`", f"`{_type(field.annotation)}`", field.description or "")
        for name, field in model.model_fields.items()
    ]
    return table(("field", "type", "description"), rows)


def _attributes(owning: Any) -> str:
    """Return the fields of a dataclass; its docstring describes them."""
    shown = [one for one in dataclasses.fields(owning) if one.repr and one.name[0] != "_"]
    rows = [(f"`{one.name}`", f"`{_type(one.type)}`") for one in shown]
    return table(("field", "type"), rows)


def _method(owning: Any, name: str) -> str:
    static = inspect.getattr_static(owning, name)
    method = getattr(owning, name)
    prefix = "async " if inspect.iscoroutinefunction(method) else ""
    owner = f"{owning.__name__}." if isinstance(static, classmethod) else ""
    call = f"{prefix}{owner}{name}{_signature(method)}"
    return f"### {owning.__name__}.{name}\n\n```text\n{call}\n```\n\n{_docstring(method)}"


def _signature(method: Any, *, context: bool = False) -> str:
    signature = inspect.signature(method, locals=LAZY_TYPES, eval_str=True)
    kept = [one for one in signature.parameters.values() if one.name != "self"]
    parts: list[str] = []
    for one in kept:
        if one.name in VALUES:
            continue
        if one.kind is one.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        parts += _keywords(one) if get_origin(one.annotation) is Unpack else [_parameter(one)]
    returned = signature.return_annotation
    if context:
        [returned, *_] = get_args(returned)
    end = "" if returned is signature.empty or returned is None else f" -> {_type(returned)}"
    line = f"({', '.join(parts)}){end}"
    if len(line) < 70:
        return line
    inner = "".join(f"    {part},\n" for part in parts)
    return f"(\n{inner}){end}"


def _parameter(one: inspect.Parameter) -> str:
    stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    default = "" if one.default is one.empty else f" = {one.default!r}"
    return f"{stars}{one.name}: {_type(one.annotation)}{default}"


def _keywords(one: inspect.Parameter) -> list[str]:
    """Return the keywords of a parameter such as `**filters: Unpack[ModelFilters]`."""
    [fields] = get_args(one.annotation)
    return [f"{name}: {_type(kind)} = ..." for name, kind in get_type_hints(fields).items()]


def _type(annotation: Any) -> str:
    """Return a type as a person would write it: names without modules, no validators."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(parts[0])
    if origin in (Union, UnionType):
        return " | ".join(_type(branch) for branch in parts)
    if origin is Literal:
        return LITERALS.get(annotation) or " | ".join(json.dumps(value) for value in parts)
    if origin is not None:
        return f"{_plain_type(origin)}[{', '.join(map(_type, parts))}]"
    return _plain_type(annotation)


def _plain_type(annotation: Any) -> str:
    """Return a type without parts, or the list of what a function takes."""
    if isinstance(annotation, list):
        return f"[{', '.join(map(_type, cast('list[Any]', annotation)))}]"
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    if isinstance(annotation, str):
        return annotation
    names = {Ellipsis: "...", NoneType: "None", None: "None"}
    return names.get(annotation) or annotation.__name__


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
