"""What outlives the process: what was submitted and paid, and which content was uploaded.

SQLite in the user's state folder, safe for several servers beside each other. It holds prompts,
ids and prices, never a token.
"""

from .journal import Journal, new_journal

__all__ = ["Journal", "new_journal"]
