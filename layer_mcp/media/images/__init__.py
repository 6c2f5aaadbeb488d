"""Measure the pixels and headers of images."""
