"""Send runs: one at a time or in batches, as Layer's limits allow, and at most once each."""
