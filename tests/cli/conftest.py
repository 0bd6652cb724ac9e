"""A folder of a user's, with packages of the user's own that have our names."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.fixture(scope="session")
def baselines(align, user_folder):
    """A baseline that the command recorded."""
    code, out, err = align("record", "tiny.py", "--device", "cpu", "--repeats", 5, "--baseline-dir", "kept")
    assert code == 0, out + err
    assert "spread of 5 healthy runs" in out
    return user_folder / "kept"
