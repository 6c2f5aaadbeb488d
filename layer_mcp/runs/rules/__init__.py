"""Rules that decide whether a run may start, as pure functions. Prices are Creative Units."""
