"""Read mesh formats, and count what they contain."""
