"""The journal: what was submitted, spent, made and saved, in a database that processes share."""

from .accounts import account_of, find_account
from .journal import Journal

__all__ = ["Journal", "account_of", "find_account"]
