"""The Claude Desktop bundle and the registry entry: what they say, and how they are made."""
