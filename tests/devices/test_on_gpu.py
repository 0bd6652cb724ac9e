"""The command for a machine with a GPU: what it would do, and that it does it in a shortened form on the CPU."""

import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "on_gpu.py"
ON_GPU = runpy.run_path(str(SCRIPT))


def steps(**settings):
    return list(ON_GPU["plan"]("cuda", Path("out"), **{"cards": 1, "short": False, **settings}))


def test_what_is_worth_most_comes_first_and_nothing_is_left_out():
    groups = list(dict.fromkeys(step.group for step in steps(cards=2)))
    assert groups == ["verify", "shadow", "record", "cost", "overlap", "compile", "processes"]
    assert "processes" not in {step.group for step in steps()}
    recorded = [step for step in steps() if step.group == "record"]
    assert len(recorded) == 2 * (4 + 4)
    verified = [step for step in steps() if step.group == "verify"]
    assert len(verified) == 2 * 4
    assert {step.environment["NVIDIA_TF32_OVERRIDE"] for step in verified} == {"0", "1"}


def test_every_command_can_be_parsed():
    from harness.cli.main import build_parser

    parser = build_parser()
    for step in [*steps(cards=2), *steps(short=True)]:
        if step.words[:2] == ("-m", "harness.cli"):
            assert parser.parse_args(step.words[2:]).device == "cuda"


def test_without_time_nothing_is_begun(tmp_path):
    step = ON_GPU["Step"]("verify", "a step", ("-c", "raise SystemExit('it ran')"))
    assert "not begun" in ON_GPU["take"](step, tmp_path, time.monotonic() + 1)
    assert not list(tmp_path.iterdir())


def test_a_step_is_ended_in_time_and_keeps_what_it_printed(tmp_path):
    words = ("-u", "-c", "import time; print('PASS so far'); time.sleep(60)")
    step = ON_GPU["Step"]("verify", "a slow step", words, least=0, most=3)
    line = ON_GPU["take"](step, tmp_path, time.monotonic() + 30)
    assert "ended for lack of time" in line
    assert "PASS so far" in line


@pytest.mark.slow
def test_the_shortened_form_runs_on_the_cpu(tmp_path):
    words = [
        "--device",
        "cpu",
        "--short",
        "--minutes",
        "4",
        "--steps",
        "verify,overlap",
        "--out",
        str(tmp_path / "out"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = (tmp_path / "out" / "summary.md").read_text()
    assert summary.count("exit code 0") == 3, summary
    assert "PASS ann_small" in summary
