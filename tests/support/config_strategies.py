"""Configuration files as people write them: nested values with comments and any spacing."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

ENTRY: dict[str, Any] = {"command": "/a b/é", "args": ["-x"], "env": {"A": "1"}}

NAMES = st.sampled_from(["a", "layer", "x y", "grün", 'q"uote', "mcpServers", "//", "{"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["// no comment", "/* none */", ",", "}", '"', "\\", "a,]"]
)
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | TEXTS
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
SERVERS = st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=3), max_size=3)
ENTRIES = st.fixed_dictionaries(
    {
        "command": TEXTS,
        "args": st.lists(TEXTS, max_size=2),
        "env": st.dictionaries(st.sampled_from(["LAYER_SANDBOX", "B"]), TEXTS, max_size=2),
    }
)
SPACES = ["", " ", "\t", "\n", "\r\n", "\n  "]
COMMENTS = ["/* one, } */", "// two, {\n", "/**/", "/* a\nb */"]


def with_entry(data: Any, servers_key: str, entry: dict[str, Any]) -> Any:
    """Return a copy of a configuration's data with an entry named layer."""
    changed = copy.deepcopy(data)
    changed[servers_key] = {**(changed.get(servers_key) or {}), "layer": entry}
    return changed


@st.composite
def commented_json(draw: st.DrawFn, value: Any) -> str:
    """Write a value as JSON with spaces, comments, and trailing commas anywhere."""
    pieces = draw(st.sampled_from([SPACES, [*SPACES, *COMMENTS]]))

    def gap() -> str:
        return draw(st.sampled_from(pieces))

    def trailing_comma(follows_value: bool) -> str:
        return "," if follows_value and draw(st.booleans()) else ""

    def write(part: Any) -> str:
        if isinstance(part, dict):
            members = [
                f"{gap()}{json.dumps(key)}{gap()}:{gap()}{write(inner)}{gap()}"
                for key, inner in part.items()  # pyright: ignore[reportUnknownVariableType]
            ]
            return f"{{{','.join(members)}{trailing_comma(bool(members))}{gap()}}}"
        if isinstance(part, list):
            items = [f"{gap()}{write(inner)}{gap()}" for inner in part]  # pyright: ignore[reportUnknownVariableType]
            return f"[{','.join(items)}{trailing_comma(bool(items))}{gap()}]"
        return json.dumps(part, ensure_ascii=draw(st.booleans()))

    return gap() + write(value) + gap()
