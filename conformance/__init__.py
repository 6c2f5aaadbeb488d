"""The protocol's public conformance suite, run against this server: `python -m conformance`."""
