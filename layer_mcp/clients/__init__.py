"""Attaches the server to the clients on this machine: one entry in a configuration file of theirs.

What a client wants is a row of `clients`, how a file is edited a module for each format. Nothing
outside our entry changes, not by a byte.
"""
