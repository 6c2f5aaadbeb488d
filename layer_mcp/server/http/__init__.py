"""The server over Streamable HTTP: for this machine, or for a team behind a proxy."""
