"""The code that a run's numbers follow from: where it changes, a study's runs are made anew.

Which files that is follows from the imports of what runs, read from their source: a list by hand would miss the next
file that one of them imports.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path

import harness
from harness.devices.surroundings import package_versions

__all__ = ["code_digest", "files_of_a_run"]

_ROOT = Path(harness.__file__).parents[1]

_RUNS = ("harness.lab.power.study_worker", "harness.lab.emulation", "models")
"""What runs: the worker with all that it imports, and whole what is found by name, as devices, models and data are."""

_NOT_FOLLOWED = ("harness.rules.gate",)
"""The gate ends a run that is seen early, and changes no number of it: runs are judged again by other rules without
being run again."""

_WATCHING = ("harness.shadow",)
"""What a run that shadow ops don't watch imports, and doesn't follow from."""

_PACKAGES = ("python", "torch", "mmengine", "mmengine-lite", "numpy", "opencv-python", "opencv-python-headless")


@lru_cache(maxsize=8)
def code_digest(config: Path, *, shadowed: bool = False) -> str:
    """A digest of every file of ours that a run executes, of its config, and of the versions of what it runs on.

    Args:
        config: the case's.
        shadowed: whether shadow ops watch the run; then of these too.
    """
    digest = hashlib.blake2b(digest_size=16)
    for file in (*files_of_a_run(shadowed=shadowed), config):
        name = file.relative_to(_ROOT).as_posix() if file.is_relative_to(_ROOT) else file.name
        digest.update(name.encode() + b"\0" + file.read_bytes())
    for package, version in package_versions(_PACKAGES).items():
        digest.update(f"{package} {version}\0".encode())
    return digest.hexdigest()


def files_of_a_run(*, shadowed: bool) -> tuple[Path, ...]:
    """Every file of this project that a run of a study may execute, sorted.

    Args:
        shadowed: whether shadow ops watch it.
    """
    without = _NOT_FOLLOWED if shadowed else (*_NOT_FOLLOWED, *_WATCHING)
    found: dict[str, Path] = {}
    waiting = [name for run in _RUNS for name in _modules_below(run)]
    while waiting:
        name = waiting.pop()
        file = _file_of(name)
        if name in found or file is None or _is_below(name, without):
            continue
        found[name] = file
        waiting += _imports(file)
        waiting += [name.rpartition(".")[0]] if "." in name else []  # a package's __init__ runs before its modules
    return tuple(sorted(found.values()))


def _modules_below(name: str) -> list[str]:
    """A module, or a package with every module in it."""
    folder = _ROOT.joinpath(*name.split("."))
    files = folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]
    parts = [file.relative_to(_ROOT).with_suffix("").parts for file in files]
    return [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]


def _file_of(name: str) -> Path | None:
    """A module's file; None where it isn't ours, or no module."""
    base = _ROOT.joinpath(*name.split("."))
    if name.partition(".")[0] not in {"harness", "models"}:
        return None
    return next((file for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file()), None)


@lru_cache(maxsize=1024)
def _imports(file: Path) -> tuple[str, ...]:
    """The modules that a file names in its imports, those in functions too."""
    return tuple(_named(ast.parse(file.read_bytes())))


def _named(tree: ast.AST) -> Iterator[str]:
    if isinstance(tree, ast.FunctionDef) and tree.name == "__getattr__":
        return  # a package's lazy names: who wants one imports its module by itself
    if isinstance(tree, ast.If) and isinstance(tree.test, ast.Name) and tree.test.id == "TYPE_CHECKING":
        return
    if isinstance(tree, ast.Import):
        yield from (alias.name for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom) and tree.module:
        yield tree.module
        yield from (f"{tree.module}.{alias.name}" for alias in tree.names)
    for inner in ast.iter_child_nodes(tree):
        yield from _named(inner)


def _is_below(name: str, packages: Collection[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
