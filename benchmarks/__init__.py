"""Start-up, overhead of a call, payload size and waiting at scale, each beside a reference."""
