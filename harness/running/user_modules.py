"""What surrounds a config: modules beside it, packages of the user's called as ours, configs of other packages."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

from harness.values.errors import CaseError

__all__ = ["find_packages_by_metadata", "open_user_modules"]

_SHARED_NAMES = ("models", "reports")
"""Packages of ours whose names a user's own folder may have too."""


def open_user_modules(config: Path, imports: Sequence[str] = ()) -> None:
    """Let ``custom_imports`` find what lies beside the config and in the working directory.

    A folder ``models`` or ``reports`` there that is asked for is joined to our package of that name: its modules are
    found as ``models.mine``, and what its ``__init__`` registers is registered. One that nobody asks for isn't run.

    Args:
        config: the config file.
        imports: names of the modules that it asks for.

    Raises:
        CaseError: a module in such a folder has the name of one of ours, which would hide it.
    """
    for folder in dict.fromkeys((config.resolve().parent, Path.cwd().resolve())):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
        for name in _SHARED_NAMES:
            if any(each.partition(".")[0] == name for each in imports):
                _join(name, folder / name)


def _join(name: str, theirs: Path) -> None:
    package = importlib.import_module(name)
    ours = [Path(place).resolve() for place in package.__path__]
    if not theirs.is_dir() or theirs.resolve() in ours or not any(theirs.glob("**/*.py")):
        return
    named = {path.stem for path in theirs.glob("*.py")} | {path.name for path in theirs.iterdir() if path.is_dir()}
    known = {path.stem for place in ours for path in place.glob("*.py")}
    if hidden := sorted((named & known) - {"__init__", "__pycache__"}):
        raise CaseError(
            f"a package of yours is called {name!r} as one of ours, and modules in both have the same name",
            where=theirs,
            observed=", ".join(hidden),
            allowed="modules of other names, or a package of another",
            hint=f"rename {theirs.name}/{hidden[0]}.py",
        )
    package.__path__.append(str(theirs))
    start = theirs / "__init__.py"
    if start.is_file() and start.read_bytes().strip():
        spec = importlib.util.spec_from_file_location(f"{name}.__init_of_{len(ours)}", start)
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            module.__package__ = name
            spec.loader.exec_module(module)


def find_packages_by_metadata() -> None:
    """Stand in for ``pkg_resources``, which setuptools has no more since 81, and mmengine asks where a package lies.

    ``_base_ = ["mmseg::…"]`` is read by it. Nothing is done where it is there.
    """
    if not any(isinstance(finder, _StandIn) for finder in sys.meta_path):
        sys.meta_path.append(_StandIn())  # behind all others: the real one is found first


class _StandIn(MetaPathFinder, Loader):
    """Finds a module with what mmengine asks of ``pkg_resources``."""

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == "pkg_resources" else None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Also called by ``importlib.reload``, which mmengine does each time."""
        vars(module).update(DistributionNotFound=metadata.PackageNotFoundError, get_distribution=_distribution)


def _distribution(package: str) -> SimpleNamespace:
    found = metadata.distribution(package)
    return SimpleNamespace(location=str(Path(str(found.locate_file(""))).resolve()), version=found.version, key=package)
