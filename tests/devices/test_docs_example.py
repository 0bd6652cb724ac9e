"""docs/devices.md holds what it promises: its example is installed as it stands there, and runs."""

import os
import re
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.running.isolation import isolated_python

ROOT = Path(__file__).parents[2]


def blocks():
    """The example's files, by their names."""
    text = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    return dict(re.findall(r"`(\S+)`:\n\n```\w+\n(.*?)```", text, re.DOTALL))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder that the example is installed in, as an installer leaves it."""
    if find_spec("setuptools") is None or int(metadata.version("setuptools").partition(".")[0]) < 77:
        pytest.skip("building the example needs setuptools 77 or later")
    package, site = tmp_path_factory.mktemp("plain_cpu"), tmp_path_factory.mktemp("site")
    files = blocks()
    assert sorted(files) == ["plain_cpu.py", "pyproject.toml"]
    for name, text in files.items():
        (package / name).write_text(text, encoding="utf-8")
    words = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(site), str(package)]
    done = subprocess.run([sys.executable, "-m", "pip", "install", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture
def align(site, tmp_path):
    def run(*words):
        environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        command = isolated_python("harness.cli:main", *map(str, words))
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


def test_the_example_is_short_and_is_listed(align):
    code = [line for line in blocks()["plain_cpu.py"].splitlines() if line.strip()]
    assert len(code) <= 40
    listed = align("doctor").stdout
    assert re.search(r"plain-cpu +yes +PyTorch +x86-64", listed), listed


@pytest.mark.slow
def test_it_passes_without_a_baseline_and_with_one(align, tmp_path):
    alone = align("verify", "ann_small", "--no-baseline", "--device", "plain-cpu", "--iterations", 1)
    assert alone.returncode == 0, alone.stdout + alone.stderr
    gated = align("verify", "ann_small", "--device", "plain-cpu", "--iterations", 4, "--shadow", "none")
    assert gated.returncode == 0, gated.stdout + gated.stderr
    assert "plain-cpu" in gated.stdout + (tmp_path / "alignment-report" / "ann_small" / "result.json").read_text()
