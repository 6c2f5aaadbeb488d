"""Third-party clients that each do the whole job against the sandbox: `python -m interop`."""
