"""The Claude Desktop bundle and the files that registries read: `python -m bundle`."""
