"""Checks that find out why layer-mcp doesn't work here, and how to fix it.

A check is a function of a `Setup` that returns a `Finding`; `checks` lists them in order. No
finding contains a token or a proxy's password, not even in part.
"""
