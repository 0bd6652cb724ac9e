"""Who has two logs to compare needs neither torch nor what else runs cases, and is told what to install for more.

`tox -e light` runs this where they are not installed; elsewhere they are kept from being imported.
"""

import subprocess
import sys
from importlib import metadata

import pytest

PROGRAM = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in {absent!r} else find_spec(name, *rest)
from harness.cli.main import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print("CODE", code)
"""

ABSENT = ("torch", "mmengine", "mmcv", "cv2", "safetensors", "pytest", "tensorboard", "zstandard", "sqlalchemy")


@pytest.fixture
def align(tmp_path):
    def run(*words):
        program = PROGRAM.format(absent=ABSENT)
        told = subprocess.run(
            [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in told.stderr
        return told.stdout + told.stderr

    return run


@pytest.fixture
def logs(tmp_path):
    for name, shift in (("reference", 0), ("candidate", 1e-4)):
        lines = [f"Iteration: {i} train.loss : {4 / (1 + 0.01 * i) + shift * (i % 3):.6f}" for i in range(100)]
        (tmp_path / f"{name}.log").write_text("\n".join(lines))
    return "reference.log", "candidate.log"


def test_two_logs_are_compared_and_reported(align, logs, tmp_path):
    assert "CODE 3" in align("compare", *logs, "--out", "report")
    assert next(tmp_path.glob("report/*/report.html")).read_text().startswith("<!DOCTYPE html>")
    assert "CODE 3" in align("report", "report")


@pytest.mark.parametrize("words", [("--help",), ("plan-accuracy", "--help"), ("faults",), ("doctor",)])
def test_what_runs_no_case_needs_no_torch(align, words):
    assert "CODE 0" in align(*words)


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "ann_small"),
        ("record", "ann_small"),
        ("ops", "ann_small"),
        ("evaluate", "ann_small", "weights.pth"),
        ("cases",),
        ("baseline", "list"),
        ("schemas",),
    ],
)
def test_a_command_that_needs_more_says_what_to_install(align, words):
    told = align(*words)
    assert f"align {words[0]} needs " in told
    assert "pip install 'alignment-harness[models]'" in told
    assert "CODE 2" in told


def test_the_version_is_that_of_the_package(align):
    assert f"align {metadata.version('alignment-harness')}" in align("--version")


def test_doctor_says_that_torch_is_missing(align):
    assert "torch" in align("doctor").partition("not installed")[0]
