"""python -m bundle: pack the bundle into dist/; `write` and `entry` are for a release."""

import argparse
import sys
from pathlib import Path

from .listings import MANIFEST, as_text, manifest
from .locking import LockingError
from .packing import PackingError, pack
from .registry_entry import SERVER_JSON, registry_entry, with_bundle
from .requirements import ROOT

DIST = ROOT / "dist"


def main() -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args()
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bundle", description=__doc__)
    parser.add_argument(
        "--locked", action="store_true", help="with the hashes of what is tested, for a release"
    )
    parser.set_defaults(run=_pack)
    commands = parser.add_subparsers(metavar="COMMAND")
    command = commands.add_parser("write", help="write what is generated in the committed files")
    command.set_defaults(run=_write)
    command = commands.add_parser("entry", help="print server.json with a packed bundle in it")
    command.add_argument("packed", type=Path, help="the bundle")
    command.add_argument("address", help="where people will get it")
    command.set_defaults(run=_entry)
    return parser


def _pack(options: argparse.Namespace) -> int:
    try:
        packed = pack(DIST, locked=options.locked)
    except (LockingError, PackingError) as error:
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
    print(as_text(with_bundle(registry_entry(), options.packed, options.address)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
