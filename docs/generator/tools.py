"""The tools as the server lists them: a short table, and a section for each."""

import json
from typing import Any

from mcp.server.mcpserver.tools import Tool

from layer_mcp import InferenceRequest
from layer_mcp.schema import portable_schema
from layer_mcp.server.http.upload_links import UploadLinks
from layer_mcp.server.tools import tools_of
from layer_mcp.settings import TOOLSETS, Toolset

from .tables import table

Schema = dict[str, Any]
HEAD = ("argument", "type", "description")


def tool_table() -> str:
    """Return a row for each tool."""
    rows = [
        (f"`{tool.name}`", tool.title or "", group)
        for group in TOOLSETS
        for tool in _tools_of(group)
    ]
    return table(("tool", "what it does", "group"), rows)


def tool_sections() -> str:
    """Return a section for each tool with its own arguments and the fields of its answer."""
    sections: list[str] = []
    for group in TOOLSETS:
        sections.append(f"## {group.capitalize()}")
        sections += [_section(tool) for tool in _tools_of(group)]
    return "\n\n".join(sections)


def request_fields() -> str:
    """Return the fields of Layer's request, which several tools take."""
    schema = _described(_tool("execute_inference"))
    return _arguments(schema, list(InferenceRequest.model_fields))


def nested_fields() -> str:
    """Return the fields of a guidance file, a mask and a video effect."""
    properties = _described(_tool("execute_inference"))["properties"]
    parts: list[str] = []
    for name, schema in properties.items():
        nested = _nested(schema)
        if nested is not None:
            parts.append(f"### In `{name}`\n\n{_arguments(nested, list(nested['properties']))}")
    return "\n\n".join(parts)


def _tools_of(group: Toolset) -> list[Tool]:
    """Return the tools of a group, and those that a server for a team has in their place."""
    tools = [*tools_of([group]), *tools_of([group], upload_links=UploadLinks())]
    return list({tool.name: tool for tool in tools}.values())


def _tool(name: str) -> Tool:
    return next(tool for tool in tools_of(TOOLSETS) if tool.name == name)


def _described(tool: Tool) -> Schema:
    """Return the arguments with their descriptions, even if the list of tools omits them."""
    return portable_schema(tool.fn_metadata.arg_model)


def _section(tool: Tool) -> str:
    schema = _described(tool)
    names = list(schema["properties"])
    takes_request = InferenceRequest.model_fields.keys() <= set(names)
    own = [name for name in names if not (takes_request and name in InferenceRequest.model_fields)]
    parts = [f"### {tool.name}", f"**{tool.title}.** {_one_line(tool.description)}"]
    if takes_request:
        count = len(names) - len(own)
        parts.append(
            f"Takes the [{count} fields of Layer's request](#fields-of-a-generation), and:"
        )
    parts.append(_arguments(schema, own))
    parts.append(f"Answers with {_facts(tool)}.")
    return "\n\n".join(parts)


def _facts(tool: Tool) -> str:
    schema = tool.output_schema or {}
    return ", ".join(f"`{name}`" for name in schema.get("properties", {}))


def _arguments(schema: Schema, names: list[str]) -> str:
    required = schema.get("required", [])
    rows = [
        (f"`{name}`", _type(schema["properties"][name]), _words(name, schema, required))
        for name in names
    ]
    return table(HEAD, rows)


def _words(name: str, schema: Schema, required: list[str]) -> str:
    entry: Schema = schema["properties"][name]
    words = [_one_line(entry.get("description", ""))]
    if name in required:
        words.insert(0, "Required.")
    if "enum" in entry:
        words.append(f"One of {', '.join(f'`{value}`' for value in entry['enum'])}.")
    words.append(_limits(entry))
    if "default" in entry:
        words.append(f"Default: `{json.dumps(entry['default'])}`.")
    return " ".join(word for word in words if word)


def _limits(entry: Schema) -> str:
    low, high = entry.get("minimum"), entry.get("maximum")
    # The dialect has no exclusive limits, so the description says it.
    if "above 0" in entry.get("description", ""):
        low = None
    if low is not None and high is not None:
        return f"{low:g} to {high:g}."
    if low is not None:
        return f"At least {low:g}."
    most = entry.get("maxItems")
    return f"At most {most}." if most is not None else ""


def _type(entry: Schema) -> str:
    if entry["type"] == "array":
        return f"list of {_type(entry['items'])}"
    return str(entry["type"])


def _nested(entry: Schema) -> Schema | None:
    inner: Schema = entry.get("items", entry)
    return inner if "properties" in inner else None


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
