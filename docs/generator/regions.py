"""The marked parts of a page: found, and replaced by what the code says."""

import re
from collections.abc import Callable, Mapping

Maker = Callable[[], str]

REGION = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def names_in(page: str) -> list[str]:
    """The names of a page's parts, in their order."""
    return [found[2] for found in REGION.finditer(page)]


def renewed(page: str, makers: Mapping[str, Maker]) -> str:
    """The page with each part as the code has it now.

    Raises:
        KeyError: a part has a name that nothing makes.
    """

    def part(found: re.Match[str]) -> str:
        return f"{found[1]}{makers[found[2]]().strip()}\n{found[3]}"

    return REGION.sub(part, page)
