"""Tests of the manifest of what was made."""
