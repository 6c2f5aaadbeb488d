"""Checks that find problems with layer-mcp on this machine, and say how to fix them.

A check is a function of a `Setup` that returns a `Finding`; `checks` lists them in order. No
finding contains a token or a proxy's password, not even in part.
"""
