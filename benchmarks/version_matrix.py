"""The fast tests on other versions of Python and torch, a row of a table for each combination.

    python benchmarks/version_matrix.py                                      the four that tox.ini labels `matrix`
    python benchmarks/version_matrix.py py313-torchnewest --discover /opt/python3.13/bin/python
    python benchmarks/version_matrix.py --keep -- -k schema                  words for pytest

Each combination is an environment of tox.ini, which is made anew, run, asked for its versions and deleted: with torch's
CUDA build one takes up to 8 GB. A Python that isn't on the path is named by --discover; one that isn't here at all is
said in its row. Prints Markdown, and below the table each test that failed. The exit code is 1 where one did, or where
a combination did not run.
"""

from __future__ import annotations

import argparse
import configparser
import datetime
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parents[1]

VERSIONS = "import platform, numpy, torch; print(platform.python_version(), torch.__version__, numpy.__version__)"


@dataclass(frozen=True)
class Told:
    """What pytest's JUnit file tells of a run: how many tests ended how, and the names of those that failed."""

    passed: int
    skipped: int
    failed: tuple[str, ...]


def main() -> int:
    """Run each, print its row, and what failed."""
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    words, for_pytest = sys.argv[1:at], sys.argv[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("combinations", nargs="*", help="environments of tox.ini (default: those labelled `matrix`)")
    parser.add_argument("--discover", nargs="+", default=[], help="Pythons beside those on the path")
    parser.add_argument("--keep", action="store_true", help="keep the environments")
    arguments = parser.parse_args(words)
    commit = _told(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"])
    print(f"{datetime.date.today()}, commit {commit}\n")
    print("| Python | torch | numpy | passed | skipped | failed | minutes |")
    print("|---|---|---|---|---|---|---|", flush=True)
    failed: dict[str, tuple[str, ...]] = {}
    for name in arguments.combinations or labelled():
        failed[name] = _row(name, arguments.discover, for_pytest)
        if not arguments.keep:
            shutil.rmtree(HERE / ".tox" / name, ignore_errors=True)
    print()
    for name, tests in failed.items():
        for test in tests:
            print(f"{name}: {test}")
    return 1 if any(failed.values()) else 0


def labelled() -> list[str]:
    """The combinations that tox.ini labels `matrix`."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(HERE / "tox.ini", encoding="utf-8")
    labels = "\n".join(section.get("labels", "") for section in settings.values())
    return re.findall(r"^(\S+): matrix$", labels, re.MULTILINE)


def read_junit(path: Path) -> Told:
    """Count what a JUnit file of pytest says."""
    cases = list(ElementTree.parse(path).iter("testcase"))  # noqa: S314  # our own file
    broken = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases if case not in broken)
    names = tuple(f"{case.get('classname')}::{case.get('name')}" for case in broken)
    return Told(len(cases) - len(broken) - skipped, skipped, names)


def _row(name: str, discover: Sequence[str], for_pytest: Sequence[str]) -> tuple[str, ...]:
    """Make an environment, run the tests in it, print its row; what failed, by name."""
    found = ["--discover", *discover] if discover else []
    made = subprocess.run(_tox("run", "-e", name, "--recreate", "--notest", *found), cwd=HERE, check=False)  # noqa: S603  # our own words
    if made.returncode or not (HERE / ".tox" / name / "bin" / "python").exists():
        print(f"| {name}: could not be made, or its Python is not here | | | | | | |", flush=True)
        return (f"not run: exit code {made.returncode} of tox",)
    with tempfile.TemporaryDirectory() as folder:
        path, began = Path(folder) / "junit.xml", time.monotonic()
        words = _tox("run", "-e", name, "--skip-pkg-install", *found, "--", f"--junit-xml={path}", *for_pytest)
        done = subprocess.run(words, cwd=HERE, stdout=sys.stderr, check=False)  # noqa: S603  # our own words
        minutes = (time.monotonic() - began) / 60
        if not path.exists():
            print(f"| {name}: pytest wrote nothing | | | | | | |", flush=True)
            return (f"not run: exit code {done.returncode} of tox",)
        told = read_junit(path)
    python, torch, numpy = _told([str(HERE / ".tox" / name / "bin" / "python"), "-c", VERSIONS]).split()
    counts = f"{told.passed:,} | {told.skipped:,} | {len(told.failed):,}"
    print(f"| {python} | {torch} | {numpy} | {counts} | {minutes:.0f} |", flush=True)
    return told.failed


def _tox(*words: str) -> list[str]:
    return [sys.executable, "-m", "tox", *words]


def _told(words: Sequence[str]) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603  # our own words


if __name__ == "__main__":
    sys.exit(main())
