"""python -m bundle: pack the bundle into dist/. `write` and `entry` are for a release."""

import argparse
import sys
from pathlib import Path

from .listings import MANIFEST, SERVER_JSON, as_text, manifest, registry_entry, with_bundle
from .packing import ROOT, BundleError, pack

DIST = ROOT / "dist"


def main() -> int:
    """Run one command and return the exit code."""
    options = _parser().parse_args()
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bundle", description=__doc__)
    parser.add_argument(
        "--locked", action="store_true", help="lock the hashes that are tested, for a release"
    )
    parser.set_defaults(run=_pack)
    commands = parser.add_subparsers(metavar="COMMAND")
    command = commands.add_parser("write", help="update manifest.json and server.json")
    command.set_defaults(run=_write)
    command = commands.add_parser("entry", help="print server.json with a packed bundle in it")
    command.add_argument("packed", type=Path, help="the bundle")
    command.add_argument("url", help="where people download it")
    command.set_defaults(run=_entry)
    return parser


def _pack(options: argparse.Namespace) -> int:
    try:
        packed = pack(DIST, locked=options.locked)
    except BundleError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{packed.relative_to(ROOT)}: {packed.stat().st_size / 1000:.0f} KB, valid")
    return 0


def _write(_options: argparse.Namespace) -> int:
    for path, content in ((MANIFEST, manifest()), (SERVER_JSON, registry_entry())):
        path.write_text(as_text(content), encoding="utf-8", newline="\n")
        print(path.relative_to(ROOT))
    return 0


def _entry(options: argparse.Namespace) -> int:
    print(as_text(with_bundle(registry_entry(), options.packed, options.url)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
