"""Completion of a command line in bash, zsh and fish, by argcomplete: the extra [completion]."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["ASKED", "complete"]

ASKED = "_ARGCOMPLETE"
"""The variable of the environment by which the shell asks for completions instead of a command."""

_CASES = ("CASE", "CONFIG")
"""What help texts call an argument that can be a case's name."""


def complete(build: Callable[[Sequence[str]], argparse.ArgumentParser]) -> None:
    """Answer the shell and end; return where argcomplete is not installed.

    Args:
        build: makes the parser of a command line that is typed so far.
    """
    try:
        import argcomplete
    except ModuleNotFoundError:
        return
    words = os.environ.get("COMP_LINE", "").split()[1:]
    parser = build(words or ["--version"])  # of no command yet: the names alone
    _offer_cases(parser)
    argcomplete.autocomplete(parser)


def _offer_cases(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _offer_cases(command)
        elif action.metavar in _CASES:
            action.completer = _case_names  # type: ignore[attr-defined]  # argcomplete's own way to be told


def _case_names(**_: Any) -> list[str]:
    from harness.running.config_files import config_files

    return [path.stem for path in config_files()]
