"""Child processes and doors that find this project's own packages, whatever lies in the working directory.

``models`` and ``reports`` are names that a user's own folders may have too. Python puts the working directory, or a
script's folder, before what is installed; here the folder that ``harness`` itself lies in comes first.
"""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["isolated_python", "prefer_own_packages"]

_ROOT = str(Path(__file__).resolve().parents[1])

_BOOTSTRAP = """
import sys
root, entry, *words = sys.argv[1:]
sys.path[:] = [root, *(folder for folder in sys.path if folder not in ("", root))]
module, function = entry.split(":")
sys.argv[:] = ["align", *words]
import importlib
sys.exit(getattr(importlib.import_module(module), function)(words))
"""


def isolated_python(entry: str, *arguments: str) -> list[str]:
    """The words of a child Python that calls a function of ours.

    Args:
        entry: ``module:function``; the function takes a list of words and returns an exit code.
        *arguments: the words.
    """
    return [sys.executable, "-c", _BOOTSTRAP, _ROOT, entry, *arguments]


def prefer_own_packages() -> None:
    """Make this process find ``models`` and ``reports`` beside ``harness``: for a program's entry, not a library's."""
    sys.path[:] = [_ROOT, *(entry for entry in sys.path if entry != _ROOT)]
