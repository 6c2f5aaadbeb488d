"""Finds out why something does not work: small checks, each with a fact and a fix.

A check is a function of a `Setup` that returns a `Check`; `examination` lists them in order. No
text of a check holds a token or what a proxy asks for, whole or in part.
"""
