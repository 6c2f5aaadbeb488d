"""The program layer-mcp, also as `python -m layer_mcp`."""

import sys


def run() -> int:
    """Run the command line, silent at Ctrl+C even while it loads."""
    try:
        from .cli.main import main  # noqa: PLC0415

        return main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(run())
