"""Children find the standard library first, then this project's own packages, whatever lies around."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from harness.running.isolation import isolated_python

PROGRAM = """
def told(words):
    import calendar, harness, models, reports
    print(calendar.__file__, models.__file__, reports.__file__, sep="\\n")
    return 0
"""


@pytest.fixture
def site(tmp_path):
    """A folder as site-packages may be: the project in it, beside a package with a standard module's name."""
    root = Path(__file__).parents[2]
    folder = tmp_path / "site"
    folder.mkdir()
    for name in ("models", "reports"):
        (folder / name).symlink_to(root / name)
    inner = folder / "harness" / "running"
    inner.mkdir(parents=True)
    for entry in (root / "harness").iterdir():
        if entry.name != "running":
            (folder / "harness" / entry.name).symlink_to(entry)
    (inner / "isolation.py").write_text((root / "harness" / "running" / "isolation.py").read_text())
    (folder / "calendar.py").write_text("raise SystemExit('a backport was imported')")
    (folder / "told.py").write_text(PROGRAM)
    return folder


def test_what_lies_beside_the_project_does_not_hide_the_standard_library(site, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    for name in ("models", "reports"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "__init__.py").write_text("raise SystemExit('a folder of the user was imported')")
    (elsewhere / "calendar.py").write_text("raise SystemExit('a file of the user was imported')")
    command = isolated_python("told:told")
    command[command.index(str(Path(__file__).parents[2]))] = str(site)
    environment = {**os.environ, "PYTHONPATH": str(elsewhere)}
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    calendar, models, reports = map(Path, done.stdout.splitlines())
    assert calendar.parent == Path(sysconfig.get_path("stdlib"))
    assert {models.parent.parent, reports.parent.parent} == {site}


def test_the_users_own_modules_stay_on_the_path(tmp_path):
    (tmp_path / "mine.py").write_text("def main(words):\n    print(*words)\n    return 3\n")
    command = isolated_python("mine:main", "a", "b c")
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, "a b c\n"), done.stderr
    assert command[0] == sys.executable
