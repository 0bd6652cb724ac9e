"""What `locks/` promises: each package that an install brings, its version for each Python, and hashes of its files."""

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WANTED = {
    "light": PROJECT["dependencies"],
    "models": [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["models"]],
}
PINNED = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))


def locked(name):
    """Package → (version, hashes) of each of its lines."""
    text = (ROOT / "locks" / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if package := re.match(r"([\w.-]+)==([^\s;]+)", line):
            found.setdefault(package[1], []).append((package[2], re.findall(r"--hash=sha256:([0-9a-f]{64})", line)))
    return found


@pytest.mark.parametrize("name", WANTED)
def test_a_lock_has_all_that_is_asked_for_and_hashes_of_each(name):
    lock = locked(name)
    asked = {re.match(r"[\w.-]+", requirement)[0] for requirement in WANTED[name]}
    assert asked <= set(lock)
    assert [package for package, lines in lock.items() for _, hashes in lines if not hashes] == []


def test_a_lock_has_the_versions_that_ci_tests():
    lock = locked("models")
    held = {package: version for package, version in PINNED.items() if package in lock}
    assert {"torch", "mmengine-lite", "msgspec", "opencv-python-headless"} <= set(held)
    assert {package: [version for version, _ in lock[package]] for package in held} == {
        package: [version] for package, version in held.items()
    }
