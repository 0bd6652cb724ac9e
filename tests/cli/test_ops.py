"""`align ops` on the emulated device, with a fault that the step doesn't meet, and with one that it does."""

import json
import re
from types import SimpleNamespace

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.emulated]

WORDS = ("ops", "tiny.py", "--device", "emulated", "--profile", "tf32", "--tier", "tf32", "--forced")


@pytest.fixture(scope="module")
def unmet(align):
    code, out, err = align(*WORDS, "--fault", "log-softmax-no-maximum")
    return SimpleNamespace(code=code, out=out, err=err)


@pytest.fixture(scope="module")
def met(align, user_folder):
    code, out, err = align(*WORDS, "--fault", "conv-wgrad-x1.05", "--out", "ops.json")
    rows = json.loads((user_folder / "ops.json").read_text())["rows"]
    return SimpleNamespace(code=code, out=out, err=err, rows=rows)


def test_ops_lists_a_step_and_judges_it(unmet, met):
    assert unmet.code == 1, unmet.out + unmet.err
    assert "EMULATED" in unmet.err
    row = next(line.split() for line in unmet.out.splitlines() if line.startswith("convolution_backward"))
    assert row[1:3] == ["float32", "2"]
    assert "operations run on the device itself (100.0%)" in unmet.out
    assert "effective precision: convolution forward 10 bits (at least 10 demanded)" in unmet.out
    assert met.code == 1, met.out + met.err
    said = r"FAIL tiny: shadow: weight gradients of all 2 convolutions are (5|4\.9|5\.0)\S* % too large at iteration 0"
    assert re.search(said, met.out)
    assert {row["op"] for row in met.rows if row["violated"]} == {"convolution_backward"}


def test_hard_inputs_show_what_a_step_does_not_meet(unmet, met):
    assert "hard inputs: " in met.out
    assert "FAIL tiny: hard inputs: _log_softmax, output: with large inputs not comparable" in unmet.out
    assert not re.search(r"^large +_log_softmax", met.out, re.MULTILINE)
    assert re.search(r"^large +_log_softmax +output +inf", unmet.out, re.MULTILINE)
