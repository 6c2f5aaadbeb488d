"""Configuration files as people write them: nested values with comments, blanks and line ends."""

import json
from typing import Any

from hypothesis import strategies as st

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
BLANKS = ["", " ", "\t", "\n", "\r\n", "\n  "]
COMMENTS = ["/* one, } */", "// two, {\n", "/**/", "/* a\nb */"]


@st.composite
def commented_json(draw: st.DrawFn, value: Any) -> str:
    """A value as JSON, with blanks and comments anywhere and trailing commas."""
    space = draw(st.sampled_from(["blank", "comments"]))
    pieces = BLANKS if space == "blank" else [*BLANKS, *COMMENTS]

    def gap() -> str:
        return draw(st.sampled_from(pieces))

    def trailing(some: bool) -> str:
        return "," if some and draw(st.booleans()) else ""

    def written(one: Any) -> str:
        if isinstance(one, dict):
            members = [
                f"{gap()}{json.dumps(key)}{gap()}:{gap()}{written(inner)}{gap()}"
                for key, inner in one.items()  # pyright: ignore[reportUnknownVariableType]
            ]
            return f"{{{','.join(members)}{trailing(bool(members))}{gap()}}}"
        if isinstance(one, list):
            items = [f"{gap()}{written(inner)}{gap()}" for inner in one]  # pyright: ignore[reportUnknownVariableType]
            return f"[{','.join(items)}{trailing(bool(items))}{gap()}]"
        return json.dumps(one, ensure_ascii=draw(st.booleans()))

    return gap() + written(value) + gap()
