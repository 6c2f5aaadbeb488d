"""Adds the server to the MCP clients on this machine, by editing their configuration files.

`catalog` lists the clients, and each file format has a module that edits its text. Everything
outside our entry stays byte for byte.
"""
