"""The callers of a server: who they are, what they are offered, and their accounts."""
