"""The manifest of every generated file: how it was made, and whether it has changed."""
