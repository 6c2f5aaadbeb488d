"""What a command displays: text, tables, progress, and images."""
