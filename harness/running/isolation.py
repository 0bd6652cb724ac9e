"""Child processes and doors that find this project's own packages, whatever lies in the working directory.

``models`` and ``reports`` are names that a user's own folders may have too. Python puts the working directory, or a
script's folder, before what is installed; here the folder that ``harness`` itself lies in comes before both. The
standard library stays before it: that folder may be site-packages, and a backport in it has a standard module's name.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["isolated_python", "prefer_own_packages"]

_ROOT = str(Path(__file__).resolve().parents[2])

_STANDARD = Path(os.__file__).parent

_BOOTSTRAP = """
import sys
root, entry, *words = sys.argv[1:]
sys.path[:] = [folder for folder in sys.path if folder]
import runpy
runpy.run_path(root + "/harness/running/isolation.py")["prefer_own_packages"]()
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
    standard = [folder for folder in sys.path if _is_standard(folder)]
    others = [folder for folder in sys.path if folder not in standard and folder != _ROOT]
    sys.path[:] = [*standard, _ROOT, *others]


def _is_standard(folder: str) -> bool:
    """Whether it is the standard library's: the folder itself, its compiled modules, or its archive."""
    path = Path(folder)
    archive = path.suffix == ".zip" and path.parent == _STANDARD.parent
    return bool(folder) and (path in {_STANDARD, _STANDARD / "lib-dynload"} or archive)
