"""Update what is generated from the code in README.md and docs/. `--check` only looks."""

import argparse
import sys

from .pages import PAGES, updated


def main() -> int:
    """Write the pages that changed. With --check, print their names and return 1."""
    parser = argparse.ArgumentParser(prog="python -m docs.generator", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, fail on outdated pages"
    )
    is_check: bool = parser.parse_args().check
    outdated = [page for page in PAGES if page.read_text(encoding="utf-8") != updated(page)]
    for page in outdated:
        print(f"{page.name} is {'outdated' if is_check else 'updated'}", file=sys.stderr)
        if not is_check:
            page.write_text(updated(page), encoding="utf-8")
    return 1 if is_check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
