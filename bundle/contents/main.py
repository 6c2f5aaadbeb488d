"""Start the server from the unpacked bundle, where this file is next to the package."""

import sys

from layer_mcp.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
