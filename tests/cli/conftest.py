"""A folder of a user's, with packages of the user's own that have our names."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import main

TINY = Path(__file__).parents[1] / "running" / "tiny"
POISON = "raise ImportError('the user\\'s own package was imported')\n"


@pytest.fixture(scope="session")
def user_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    for name in ("models", "reports", "baselines"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(POISON)
    for path in TINY.glob("*.py"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="session")
def run(user_folder):
    """Runs a command as a user would, in that folder: (exit code, standard output, standard error)."""
    environment = {**os.environ, "PYTHONPATH": str(user_folder), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}

    def run_command(*words):
        done = subprocess.run(
            [str(word) for word in words], cwd=user_folder, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return run_command


@pytest.fixture(scope="session")
def align(run):
    script = Path(sys.executable).with_name("align")
    if not script.exists():
        pytest.skip("the project is not installed: there is no `align` beside python")
    return lambda *words: run(script, *words)


@pytest.fixture
def align_here(user_folder, monkeypatch, capsys):
    """Runs a command in this process, in that folder: for what ends before anything is run."""
    monkeypatch.chdir(user_folder)
    monkeypatch.setenv("COLUMNS", "200")

    def run_command(*words):
        try:
            code = main([str(word) for word in words])
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    return run_command


@pytest.fixture(scope="session")
def baselines(tiny_baselines):
    """A baseline of the tiny case that the command recorded."""
    return tiny_baselines
