"""Submit, follow, and save paid runs, without a protocol."""
