"""Cases in a user's Python file, found without running it, and the function of one, for the process that runs it."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from harness.values.case import Case
from harness.values.errors import CaseError

__all__ = ["find_own_case", "load_function", "source_digest", "split_address"]

_PACKAGE, _DECORATOR = "harness", "case"

_NOT_DECLARED = frozenset({"name", "config", "function", "own_start", "fp64_iterations", "evaluate"})
"""Fields of a case that the decorator doesn't take."""


@dataclass(frozen=True)
class _Found:
    """A function that is declared a case, and the decorator's settings as far as they are plain."""

    name: str
    settings: Mapping[str, Any]
    line: int


def split_address(address: str) -> tuple[str, str]:
    """``file.py:function`` → the file and the function, which is empty where none is named."""
    path, colon, function = address.rpartition(":")
    return (path, function) if colon and path.endswith(".py") and function.isidentifier() else (address, "")


def find_own_case(path: Path, function: str = "") -> Case | None:
    """The case that a file declares.

    Args:
        path: a Python file.
        function: its function, where the file declares several.

    Returns:
        None where the file declares none: then it is a config, or no case at all.

    Raises:
        CaseError: it declares several and none is named, or another; or a setting can't be read.
    """
    found = {one.name: one for one in _declared(path)}
    if not found and not function:
        return None
    if not (function in found if function else len(found) == 1):
        raise CaseError(
            f"the file declares no case {function!r}" if function else "the file declares several cases: name one",
            where=path,
            allowed=", ".join(f"{path.name}:{name}" for name in found)
            or f"a function under @{_PACKAGE}.{_DECORATOR}()",
        )
    chosen = found[function] if function else next(iter(found.values()))
    settings = dict(chosen.settings)
    known = {field.name for field in fields(Case)} - {
        "name",
        "config",
        "function",
        "own_start",
        "fp64_iterations",
        "evaluate",
    }
    if unknown := sorted(set(settings) - known):
        raise CaseError(
            "@harness.case has no such setting",
            where=f"{path}:{chosen.line}",
            observed=", ".join(unknown),
            allowed=", ".join(sorted(known)),
        )
    if isinstance(settings.get("tiers"), list):
        settings["tiers"] = tuple(settings["tiers"])
    own_start = settings.get("start") is None
    if own_start:
        settings.pop("start", None)
    name = path.stem if len(found) == 1 else f"{path.stem}-{chosen.name}"
    settings.setdefault("tiers", _tiers_of(settings))
    return Case(name, path, function=chosen.name, own_start=own_start, fp64_iterations=0, **settings)


def _tiers_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    return ("fp32",) if settings.get("tier") == "fp32" else ("fp32", "tf32")


def load_function(case: Case) -> Callable[[Any], Any]:
    """Run the file of a case as a module of its own, beside which its imports are found, and take its function.

    Raises:
        CaseError: the file ends in an error, or the function isn't there any more.
    """
    folder = str(case.config.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(f"_case_{case.config.stem}", case.config)
    if spec is None or spec.loader is None:
        raise CaseError("the file can't be loaded", where=case.config)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # so that what it defines can be pickled, as a loader's workers need
    spec.loader.exec_module(module)
    function = getattr(module, case.function, None)
    if not callable(function):
        raise CaseError("the file has no such function", where=case.config, observed=case.function)
    return function  # type: ignore[no-any-return]


def source_digest(case: Case) -> str:
    """Of the file's bytes: shown beside the reference's, since a changed comment is no other experiment."""
    return hashlib.sha256(case.config.read_bytes()).hexdigest()[:12]


def _declared(path: Path) -> Iterator[_Found]:
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (OSError, SyntaxError, ValueError) as failure:
        raise CaseError("the file can't be read", where=path, observed=f"{type(failure).__name__}: {failure}") from None
    packages, decorators = _names(tree)
    constants = _constants(tree)
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if _is_ours(call.func if call else decorator, packages, decorators):
                if call is None:
                    raise CaseError("@harness.case is called", where=f"{path}:{node.lineno}", allowed="@harness.case()")
                yield _Found(node.name, _settings(call, constants, path), node.lineno)


def _names(tree: ast.Module) -> tuple[set[str], set[str]]:
    """What the file calls our package, and our decorator."""
    packages, decorators = set(), set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            packages |= {alias.asname or alias.name for alias in node.names if alias.name == _PACKAGE}
        elif isinstance(node, ast.ImportFrom) and node.module in {_PACKAGE, "harness.training.declaring"}:
            decorators |= {alias.asname or alias.name for alias in node.names if alias.name == _DECORATOR}
    return packages, decorators


def _is_ours(function: ast.expr, packages: set[str], decorators: set[str]) -> bool:
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.attr == _DECORATOR and function.value.id in packages
    return isinstance(function, ast.Name) and function.id in decorators


def _constants(tree: ast.Module) -> dict[str, Any]:
    """Names at the file's top that are plain values."""
    known = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            try:
                known[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return known


def _settings(call: ast.Call, constants: Mapping[str, Any], path: Path) -> dict[str, Any]:
    settings = {}
    if call.args:
        raise CaseError(
            f"@{_PACKAGE}.{_DECORATOR} takes named settings alone",
            where=f"{path}:{call.lineno}",
            allowed="iterations=30, …",
        )
    for keyword in call.keywords:
        value = keyword.value
        try:
            known = isinstance(value, ast.Name) and value.id in constants
            settings[str(keyword.arg)] = constants[value.id] if known else ast.literal_eval(value)  # type: ignore[attr-defined]
        except ValueError:
            raise CaseError(
                "a setting of the case is no plain value: settings are read without running the file",
                where=f"{path}:{value.lineno}: {keyword.arg}",
                observed=ast.unparse(value),
                allowed="a number, a text, a tuple or a dict of such, or the name of one at the file's top",
            ) from None
    return settings
