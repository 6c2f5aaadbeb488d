"""Generations from the command line: from options or a file to saved outputs."""
