"""Benchmarks of the server, each next to a reference measured in the same run."""
