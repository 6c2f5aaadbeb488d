"""Adds the server to the MCP clients on this machine, by editing their configuration files.

`catalog` lists the clients, and each file format has a module that edits its text. The rest of the
file is left untouched.
"""
