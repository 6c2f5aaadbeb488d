"""Start the server from the unpacked bundle, where this file is next to the package."""

import sys

from layer_mcp.__main__ import run

if __name__ == "__main__":
    sys.exit(run())
