"""The journal: what was submitted, spent, made and saved, in a database that processes share."""

from .journal import Journal, account_of

__all__ = ["Journal", "account_of"]
