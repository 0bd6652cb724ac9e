"""What can't be done, asked for in a folder with a `models` and a `reports` of the user's own."""

import pytest


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verify", "no_such_case"], "align cases"),
        (["verify", "no_such.py"], "no such config"),
        (["verify", "ann_small", "--device", "sdaa"], "emulated"),
        (["verify", "ann_small", "--fault", "no-such-fault"], "align faults"),
        pytest.param(
            ["verify", "ann_small", "--profile", "no-such-profile"], "tf32", marks=pytest.mark.emulated
        ),  # by default on it
        (["verify", "tiny.py", "--false-alarm-rate", "1"], "less than 1"),
        (["verify", "tiny.py", "--false-alarm-rate", "nan"], "less than 1"),
        (["verify", "tiny.py", "--cfg-options", "optim_wraper.lr=1"], "optim_wrapper"),
        (["verify", "tiny.py", "--cfg-options", "nonsense"], "key=value"),
        (["verify", "tiny.py", "--cfg-options", "alignment.iteration=1"], "iterations"),
        (["record", "tiny.py", "--repeats", "3", "--baseline-dir", "elsewhere"], "at least 5"),
        (["report", "nothing_here"], "nothing_here"),
        (["verify", "tiny.py", "tiny.py"], "of one case"),
        (["record", "tiny.py", "./tiny.py", "--baseline-dir", "elsewhere"], "of one case"),
        (["verify", "tiny.py", "--cfg-options", "alignment=3"], "alignment"),
        (["verify", "tiny.py", "--cfg-options", "alignment.tiers=5"], "alignment.tiers"),
        (["verify", "tiny.py", "--cfg-options", "randomness=5"], "randomness"),
        (["verify", "tiny.py", "--cfg-options", "alignment.iterations=2.5"], "whole number"),
        (["verify", "tiny.py", "--device", "cpu", "--profile", "tf32"], "--device emulated"),
        (["verify", "tiny.py", "--device", "cpu", "--nproc-per-node", "2"], "--launcher pytorch"),
        (["train", "--config", "tiny.py", "--device", "cpu", "--work-dir", "/dev/null/x"], "/dev/null"),
        (["record", "tiny.py", "--tiers", "fp32,fp32", "--baseline-dir", "elsewhere"], "each once"),
        (["verify", "tiny.py", "--no-baseline", "--shadow", "none"], "nothing to judge by"),
        (["verify", "tiny.py", "--forced", "--shadow", "none"], "of a shadowed step"),
        (["ops", "no_such_case"], "align cases"),
        (["ops", "tiny.py", "--tier", "fp33"], "fp32"),
        (["ops", "tiny.py", "--out", "ops.xlsx"], ".csv or .json"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_can(align_here, words, said):
    code, out, err = align_here(*words)
    assert code == 2
    assert said in err, out + err
    assert "Traceback" not in err


@pytest.mark.parametrize(("words", "said"), [(["verify", "tiny.py", "--cfg-options", "nonsense"], "key=value")])
def test_a_shell_sees_the_same(align, align_here, words, said):
    code, out, err = align(*words)
    assert (code, out, err) == align_here(*words)
    assert code == 2
    assert said in err
