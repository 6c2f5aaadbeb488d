"""Owners: the callers that share one Layer account, and what separates their runs."""

import hashlib
import re
from dataclasses import dataclass

# Names of tokens and of OAuth callers.
NAME = re.compile(r"(?!sha256:)[A-Za-z0-9._@:~|%/#-]{1,160}")
# After the first number sign, a Layer account has only a digest, and so no slash.
SEPARATOR = "/"


@dataclass(frozen=True)
class Owner:
    """A caller that shares a Layer account with others, and its own price limits.

    Owners with the same name are the same. The limits are in Creative Units and apply in addition
    to those of the settings; None means no limit. With `brings_key`, the token is the owner's own,
    and its Layer account is never taken over by another token.

    Raises:
        ValueError: the name is empty.
    """

    name: str
    max_price: float | None = None
    max_spend_per_day: float | None = None
    brings_key: bool = False

    def __post_init__(self) -> None:
        """Refuse an empty name."""
        if not self.name:
            raise ValueError("An owner needs a name.")

    def account_in(self, layer_account: str) -> str:
        """Return the name of the account that holds this owner's runs.

        A long or unusual name is replaced with its hash.
        """
        name = self.name if NAME.fullmatch(self.name) else _digest(self.name)
        return f"{layer_account}{SEPARATOR}{name}"


def is_in_layer_account(account: str, layer_account: str) -> bool:
    """Return whether an account is a Layer account or that of one of its owners."""
    return account == layer_account or account.startswith(f"{layer_account}{SEPARATOR}")


def name_in(account: str) -> str | None:
    """Return the name of an account's owner, "" without an owner; None if the name is hashed."""
    name = account.partition("#")[2].partition(SEPARATOR)[2]
    return name if not name or NAME.fullmatch(name) else None


def _digest(name: str) -> str:
    return f"sha256:{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"
