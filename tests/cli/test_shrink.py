"""`align shrink`, and what is followed up after a run."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from harness.cli.main import main


@pytest.mark.parametrize("name", ["nothing.py", "folder", "result.json"])
def test_what_is_no_reproduction_is_refused(tmp_path, capsys, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "result.json").write_text("{}")
    assert main(["shrink", str(tmp_path / name)]) == 2
    assert "there is no such reproduction" in capsys.readouterr().err


def test_a_finding_that_is_no_call_says_what_to_run(tmp_path, capsys):
    save_file({"seed": torch.ones(1)}, tmp_path / "1.safetensors")
    assert main(["shrink", str(tmp_path / "1.py")]) == 2
    said = capsys.readouterr().err
    assert "holds no call of a single operation" in said
    assert f"python {tmp_path / '1.py'}" in said


@pytest.mark.parametrize("seconds", ["0", "x", "-1", "inf"])
def test_a_time_that_is_none_is_refused(tmp_path, seconds):
    with pytest.raises(SystemExit) as ended:
        main(["shrink", str(tmp_path / "1.py"), "--seconds", seconds])
    assert ended.value.code == 2


def test_a_program_that_is_none_is_refused(tmp_path, capsys):
    save_file({"seed": torch.ones(1)}, tmp_path / "1.safetensors")
    assert main(["shrink", str(tmp_path / "1.py"), "--out", "1.txt"]) == 2
    assert "a program ends in .py" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.emulated
def test_a_wrong_call_is_named_made_smaller_and_runs_alone(tmp_path):
    words = ["verify", "ann_small", "--no-baseline", "--shadow", "0", "--iterations", "1", "--shrink", "20"]
    words += ["--shadow-ops", "convolution", "--fault", "conv-pads-with-edge", "--out", str(tmp_path / "out")]
    align = [sys.executable, "-m", "harness.cli"]
    ended = subprocess.run([*align, *words], capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "asked again, each with one thing changed" in ended.stdout
    folder = tmp_path / "out/ann_small"
    (cause,) = json.loads((folder / "result.json").read_text())["shadow_ops"]["causes"]
    assert "with padding" in (cause["attribute"], *cause["equals"])
    assert cause["asked"]["others"] > 0
    program = folder / "reproduce/1.py"
    assert "Made smaller while it was wrong" in program.read_text()
    assert program.with_suffix(".safetensors").stat().st_size < 4096
    again = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=120, check=False)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (1, "REPRODUCED")
    smaller = subprocess.run([*align, "shrink", program], capture_output=True, text=True, timeout=120, check=False)
    assert smaller.returncode == 0, smaller.stderr
    assert (program.parent / "1.small.py").exists()
