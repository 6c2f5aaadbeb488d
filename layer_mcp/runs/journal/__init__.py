"""The journal of runs, prices, outputs, and uploads, in a database that processes share."""

from .accounts import account_of, address_of, find_account
from .journal import Journal

__all__ = ["Journal", "account_of", "address_of", "find_account"]
