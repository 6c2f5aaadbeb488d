"""Start the server from the unpacked bundle, where this file lies beside the package."""

import sys

from layer_mcp.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
