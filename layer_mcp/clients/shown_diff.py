"""A diff that can be shown: other people's values in a configuration are often secrets."""

import difflib
import re

QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"?|'[^']*'?)(\s*[:=])?""")
BARE_VALUE = re.compile(r"""(?<=[:=])(\s*)(?![\s"'{\[])[^,{}\[\]"']+""")
MARKS_ONLY = re.compile(r"[\W_]*")


def shown_diff(path: str, before: str, after: str, own: str) -> str:
    """The changed lines, without lines around them; lines of `own` are shown as they are.

    All other values are left out.
    """
    own_lines = {_bare(line) for line in own.splitlines()}
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), path, path, n=0, lineterm=""
    )
    return "".join(f"{_shown(line, own_lines)}\n" for line in lines)


def _shown(line: str, own_lines: set[str]) -> str:
    sign, rest = line[:1], line[1:]
    if line.startswith(("--- ", "+++ ", "@@ ")) or _bare(rest) in own_lines:
        return line
    return sign + _without_values(rest)


def _bare(line: str) -> str:
    return line.strip().removesuffix(",")


def _without_values(line: str) -> str:
    if MARKS_ONLY.fullmatch(line):
        return line
    hidden = BARE_VALUE.sub(r"\1...", QUOTED.sub(_key_or_dots, line))
    has_key = hidden != line or line.rstrip().endswith((":", "]", "{"))
    return hidden if has_key else f"{line[: len(line) - len(line.lstrip())]}..."


def _key_or_dots(found: re.Match[str]) -> str:
    return found[0] if found[2] else '"..."'
