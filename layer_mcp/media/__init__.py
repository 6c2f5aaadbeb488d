"""Inspect media files: type, structure, and measured facts."""
