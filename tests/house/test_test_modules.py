"""How tests find what they share: by its full name from the root, each module with a name of its own."""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"

FILES = sorted(path for path in TESTS.rglob("*.py") if "data" not in path.relative_to(TESTS).parts)
HELPERS = [path for path in FILES if not path.name.startswith(("test_", "conftest", "__init__"))]

RUN_BY_PATH = ("evaluating", "running", "training")
"""Folders with what stands in for a user's: configs, and modules beside them that are on the path as a user's are."""


def imported(path):
    """The first part of each module that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_no_two_helper_modules_share_a_name():
    counts = Counter(path.stem for path in HELPERS)
    assert [name for name, count in counts.items() if count > 1] == []


def test_a_helper_is_imported_by_its_full_name():
    folders = {path.parent.name for path in TESTS.rglob("__init__.py")}
    names = {path.stem for path in HELPERS} | folders
    bare = {
        path.relative_to(TESTS).as_posix(): found
        for path in FILES
        if path.relative_to(TESTS).parts[0] not in RUN_BY_PATH and (found := set(imported(path)) & names)
    }
    assert bare == {}


def test_a_package_of_a_users_called_tests_comes_before_ours():
    """A folder without ``__init__.py`` gives way to a package of its name, wherever on the path that lies."""
    assert {path.parent.name for path in TESTS.rglob("__init__.py")} == {"runner_faults", "kernel_faults"}
