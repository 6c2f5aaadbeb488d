"""Where a command's log goes."""

import logging

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to_stderr(level: str = "WARNING") -> None:
    """Log lines to stderr; to be called before the SDK sets up a handler of its own."""
    logging.basicConfig(level=level, format=LOG_FORMAT)
    # They would log headers and signed addresses.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
