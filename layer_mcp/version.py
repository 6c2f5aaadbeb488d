"""The version of the package, apart from what the package exports, so that every layer may say it."""

__version__ = "0.1.0"
