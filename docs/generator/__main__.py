"""Renew what is made from the code in README.md and docs/, or only look: --check."""

import argparse
import sys

from .pages import PAGES, current


def main() -> int:
    """Write the pages that changed; with --check name them and return 1."""
    parser = argparse.ArgumentParser(prog="python -m docs.generator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on what is old")
    checks: bool = parser.parse_args().check
    old = [page for page in PAGES if page.read_text(encoding="utf-8") != current(page)]
    for page in old:
        print(f"{page.name} {'is old' if checks else 'is renewed'}", file=sys.stderr)
        if not checks:
            page.write_text(current(page), encoding="utf-8")
    return 1 if checks and old else 0


if __name__ == "__main__":
    sys.exit(main())
