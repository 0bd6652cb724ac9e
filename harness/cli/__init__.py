"""The command line. `align --help` lists the commands; each is a file of its own here."""

from harness.cli.main import main

__all__ = ["main"]
