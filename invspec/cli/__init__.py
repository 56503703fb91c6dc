"""The command line. `main` is its entry point."""

from invspec.cli.app import main

__all__ = ["main"]
