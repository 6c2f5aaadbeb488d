"""Clients that others wrote, each doing the whole job against the sandbox: `python -m interop`."""
