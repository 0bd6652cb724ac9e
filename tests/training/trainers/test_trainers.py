"""The trainers of others, watched by their own hooks: recorded, healthy PASS, wrong gradient FAIL by name."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(*words, cwd, rc=0):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    told = subprocess.run(
        [sys.executable, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False, env=environment
    )
    assert told.returncode == rc, told.stdout + told.stderr
    return told.stdout + told.stderr


@pytest.mark.slow
@pytest.mark.emulated
@pytest.mark.parametrize(
    ("script", "library", "case"),
    [
        ("huggingface_vit", "transformers", "vit"),
        ("lightning_net", "lightning", "lightning"),
        ("mmengine_config", "mmengine", "tiny"),
        ("mmengine_objects", "mmengine", "mmengine_objects"),
    ],
)
def test_a_trainer_is_recorded_judged_healthy_and_its_fault_is_named(tmp_path, script, library, case):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: tox -e trainers")
    file = HERE / f"{script}.py"
    run(file, "runs/cpu", "cpu", cwd=tmp_path)
    align = ("-m", "harness.cli")
    run(*align, "record", case, "--from", *sorted((tmp_path / "runs/cpu").iterdir()), cwd=tmp_path)
    run(file, "runs/healthy", "emulated", cwd=tmp_path)
    told = run(*align, "judge", "runs/healthy", cwd=tmp_path)
    assert f"PASS {case}" in told
    run(file, "runs/faulty", "emulated", "conv-wgrad-x1.01", cwd=tmp_path)
    told = run(*align, "judge", "runs/faulty", cwd=tmp_path, rc=1)
    assert f"FAIL {case}: shadow: " in told
    assert "convolution_backward, weight gradient: 1 % too large" in told


@pytest.mark.slow
@pytest.mark.emulated
def test_stochastic_depth_of_timm_is_drawn_alike(tmp_path):
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed: tox -e trainers")
    align, file = ("-m", "harness.cli"), HERE / "droppath.py"
    run(*align, "record", file, cwd=tmp_path)
    told = run(*align, "verify", file, "--device", "emulated", cwd=tmp_path)
    assert "PASS droppath" in told
    told = run(*align, "verify", file, "--device", "emulated", "--fault", "conv-wgrad-x1.01", cwd=tmp_path, rc=1)
    assert "FAIL droppath: shadow: patch_embed.proj, convolution_backward, weight gradient: 1 % too large" in told
