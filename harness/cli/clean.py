"""`align clean`: show what align left on this machine, and remove it."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.cells import cell_len

from harness.cli.console import shown
from harness.language import say
from harness.store.cache_place import SCENES, cache_root
from harness.store.temporary import find_abandoned, remove_abandoned

__all__ = ["add_parser"]

_TEMPORARY = "align-*"
"""What the folders of runs and of baselines on their way are called."""

_UNITS = ("B", "kB", "MB", "GB", "TB")


class _Left(NamedTuple):
    path: Path
    what: str
    size: int


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "clean",
        help="show, and with --yes remove, caches and abandoned temporary folders",
        description="Shows what align left on this machine and how much it is: generated scenes, which are drawn again "
        "where they are needed, and temporary folders of commands that were killed. Reports, baselines and what "
        "--work-dir keeps are yours, and stay. With --yes it is removed; not while a case trains on generated scenes.",
    )
    parser.add_argument("--yes", action="store_true", help="remove it; without this nothing is removed")
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Show, and remove where that is asked for."""
    found = list(_find())
    for left in found:
        print(shown(f"{_size_words(left.size):>8}  {_padded(say(left.what))}  {left.path}"))
    total = _size_words(sum(left.size for left in found))
    if not found:
        print(say("there is nothing to remove"))
    elif not arguments.yes:
        print(say(f"{total} in all; nothing was removed. To remove it: align clean --yes"))
    else:
        for left in found:
            if left.what == "generated scenes":
                shutil.rmtree(left.path, ignore_errors=True)
            else:
                remove_abandoned([left.path])
        stayed = [left for left in found if left.path.exists()]
        for left in stayed:
            print(shown(say(f"could not be removed: {left.path}")))
        removed = _size_words(sum(left.size for left in found if left not in stayed))
        print(say(f"removed {removed}"))
    return 0


def _find() -> Iterator[_Left]:
    cache = cache_root()
    for path in sorted(cache.glob(f"{SCENES}*")):
        if ".partial-" not in path.name and path.is_dir() and not path.is_symlink():
            yield _Left(path, "generated scenes", _size(path))
    for place, pattern, what in (
        (cache, f"{SCENES}*.partial-*", "scenes drawn in part"),
        (Path(tempfile.gettempdir()), _TEMPORARY, "folder of a killed run"),
    ):
        folders = (path for path in sorted(place.glob(pattern)) if path.is_dir())
        for path in find_abandoned(folders):
            yield _Left(path, what, _size(path))


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def _padded(text: str) -> str:
    """In 24 columns."""
    return text + " " * (24 - cell_len(text))


def _size_words(size: float) -> str:
    """A size of three digits: 1.23 GB."""
    unit = 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.3g} {_UNITS[unit]}"
