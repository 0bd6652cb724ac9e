"""The commands as a user types them, in a folder with a `models` and a `reports` of the user's own."""

import json
import re
import shutil
import sys
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from harness import pytest_plugin


@pytest.mark.parametrize("word", ["verify", "record", "train", "ops", "compare", "report", "cases", "faults", "doctor"])
def test_help_teaches_each_command(align, word):
    code, out, _ = align("--help")
    assert code == 0
    assert word in out
    code, out, _ = align(word, "--help")
    assert code == 0
    assert len(out) > 100


def test_the_version_is_said(align):
    code, out, _ = align("--version")
    assert code == 0
    assert out.startswith("align 0.")


@pytest.mark.parametrize("words", [[], ["verfy"], ["verify", "--device", "tpu"], ["verify", "--iterations", "0"]])
def test_wrong_usage_is_exit_code_two(align, words):
    assert align(*words)[0] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verify", "no_such_case"], "align cases"),
        (["verify", "no_such.py"], "no such config"),
        (["verify", "ann_small", "--device", "sdaa"], "emulated"),
        (["verify", "ann_small", "--fault", "no-such-fault"], "align faults"),
        (["verify", "ann_small", "--profile", "no-such-profile"], "tf32"),
        (["verify", "tiny.py", "--false-alarm-rate", "1"], "less than 1"),
        (["verify", "tiny.py", "--false-alarm-rate", "nan"], "less than 1"),
        (["verify", "tiny.py", "--cfg-options", "optim_wraper.lr=1"], "optim_wrapper"),
        (["verify", "tiny.py", "--cfg-options", "nonsense"], "key=value"),
        (["verify", "tiny.py", "--cfg-options", "alignment.iteration=1"], "iterations"),
        (["record", "tiny.py", "--repeats", "3", "--baseline-dir", "elsewhere"], "at least 5"),
        (["report", "nothing_here"], "nothing_here"),
        (["verify", "tiny.py", "--cfg-options", "alignment=3"], "alignment"),
        (["verify", "tiny.py", "--cfg-options", "alignment.tiers=5"], "alignment.tiers"),
        (["verify", "tiny.py", "--cfg-options", "randomness=5"], "randomness"),
        (["verify", "tiny.py", "--cfg-options", "alignment.iterations=2.5"], "whole number"),
        (["verify", "tiny.py", "--device", "cpu", "--profile", "tf32"], "--device emulated"),
        (["verify", "tiny.py", "--device", "cpu", "--nproc-per-node", "2"], "--launcher pytorch"),
        (["train", "--config", "tiny.py", "--device", "cpu", "--work-dir", "/dev/null/x"], "/dev/null"),
        (["record", "tiny.py", "--tiers", "fp32,fp32", "--baseline-dir", "elsewhere"], "each once"),
        (["ops", "no_such_case"], "align cases"),
        (["ops", "tiny.py", "--tier", "fp33"], "fp32"),
        (["ops", "tiny.py", "--out", "ops.xlsx"], ".csv or .json"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_can(align, words, said):
    code, out, err = align(*words)
    assert code == 2
    assert said in err, out + err
    assert "Traceback" not in err


def test_cases_and_faults_are_listed(align):
    code, out, _ = align("cases", "--names")
    assert code == 0
    assert "ann_small" in out.split()
    code, out, _ = align("faults", "--names")
    assert {"conv-wgrad-x1.05", "align-corners-flipped", "bn-momentum-ignored"} <= set(out.split())
    assert align("cases")[0] == align("faults")[0] == align("doctor")[0] == 0


@pytest.mark.slow
def test_verify_passes_and_writes_the_report(align, baselines, user_folder):
    code, out, err = align("verify", "tiny.py", "--device", "cpu", "--baseline-dir", baselines, "--out", "good")
    assert code == 0, out + err
    assert "PASS tiny: aligned at fp32" in out
    page = user_folder / "good" / "tiny" / "report.html"
    assert str(page.relative_to(user_folder)) in out
    assert (user_folder / "good" / "index.html").exists()
    assert (user_folder / "good" / "tiny" / "trace.csv").exists()
    result = json.loads((page.with_name("result.json")).read_text())
    assert {"case", "device", "emulated", "verdict", "reason", "findings", "legacy", "provenance"} <= set(result)
    assert set(result["provenance"]) == {"reference", "candidate"}
    assert {"mean_relative_error", "mean_absolute_error", "verdict"} <= set(result["legacy"])
    wanted = {"rule", "status", "signal", "iteration", "observed", "allowed", "smallest_detectable"}
    assert all(wanted <= set(finding) for finding in result["findings"])
    assert (result["emulated"], result["verdict"], result["device"]) == (False, "PASS", "cpu")


@pytest.mark.slow
def test_a_fault_fails_with_its_rule_and_iteration_and_says_emulated(align, baselines, user_folder):
    code, out, err = align(
        *("verify", "tiny.py", "--device", "emulated", "--fault", "bn-momentum-ignored"),
        *("--baseline-dir", baselines, "--out", "bad"),
    )
    assert code == 1, out + err
    assert "EMULATED" in err
    assert "FAIL tiny: shadow: " in out
    assert "; state: " in out
    assert "at iteration 0" in out
    folder = user_folder / "bad" / "tiny"
    assert json.loads((folder / "result.json").read_text())["emulated"] is True
    assert "EMULATED" in (folder / "report.html").read_text()
    suite = ET.parse(user_folder / "bad" / "junit.xml").getroot()  # noqa: S314  # we wrote it ourselves
    assert suite.find(".//failure") is not None
    code, out, err = align("report", "bad", "--out", "merged")
    assert code == 0, out + err
    assert "FAIL" in (user_folder / "merged" / "index.html").read_text()


@pytest.mark.slow
def test_ops_lists_a_step_and_judges_it(align, user_folder):
    code, out, err = align("ops", "tiny.py", "--device", "emulated", "--profile", "tf32", "--tier", "tf32")
    assert code == 0, out + err
    assert "EMULATED" in err
    row = next(line.split() for line in out.splitlines() if line.startswith("convolution_backward"))
    assert row[1:3] == ["float32", "2"]
    assert "operations run on the device itself (100.0%)" in out
    assert "effective precision: convolution forward 10 bits (expected 10)" in out
    code, out, err = align(
        *("ops", "tiny.py", "--device", "emulated", "--profile", "tf32", "--tier", "tf32"),
        *("--fault", "conv-wgrad-x1.05", "--out", "ops.json"),
    )
    assert code == 1, out + err
    assert re.search(
        r"FAIL tiny: shadow: \w+, convolution_backward, weight gradient: (5|4\.9|5\.0)\S* % too large", out
    )
    rows = json.loads((user_folder / "ops.json").read_text())["rows"]
    assert {row["op"] for row in rows if row["violated"]} == {"convolution_backward"}


@pytest.mark.slow
def test_ops_shows_what_a_step_does_not_meet(align):
    words = ("ops", "tiny.py", "--device", "emulated", "--profile", "fp32", "--tier", "fp32", "--forced")
    code, out, err = align(*words)
    assert code == 0, out + err
    assert "hard inputs: " in out
    assert not re.search(r"^large +_log_softmax", out, re.MULTILINE)
    code, out, err = align(*words, "--fault", "log-softmax-no-maximum")
    assert code == 0, out + err  # the step doesn't meet it
    assert re.search(r"^large +_log_softmax +output +inf", out, re.MULTILINE)


@pytest.mark.slow
def test_a_finding_comes_with_a_program_that_makes_the_call_again(align, run, user_folder):
    code, out, err = align(
        *("verify", "tiny.py", "--no-baseline", "--device", "emulated", "--profile", "tf32", "--tier", "tf32"),
        *("--fault", "conv-wgrad-x1.05", "--out", "again"),
    )
    assert code == 1, out + err
    folder = user_folder / "again" / "tiny"
    (found,) = json.loads((folder / "result.json").read_text())["reproductions"]
    assert (found["op"], found["program"]) == ("convolution_backward", "reproduce/1.py")
    assert 'href="reproduce/1.py"' in (folder / "report.html").read_text()

    def error_on(device):
        code, out, err = run(sys.executable, folder / "reproduce" / "1.py", "--device", device)
        assert code == 0, err
        return float(re.search(r"^error (\S+)", out, re.MULTILINE)[1])

    assert error_on("cpu") < 1e-6
    assert 0.049 < error_on("emulated") < 0.051


@pytest.mark.slow
def test_without_a_device_the_emulated_one_is_taken_with_a_banner(align, baselines):
    code, out, err = align("verify", "tiny.py", "--baseline-dir", baselines, "--out", "fallback")
    assert code == 0, out + err
    assert "EMULATED" in err
    assert "emulated sdaa" in out


@pytest.mark.slow
def test_recording_anew_asks_for_a_reason_and_shows_the_change(align, baselines, user_folder):
    copy = user_folder / "kept-too"
    shutil.copytree(baselines, copy)
    words = ("record", "tiny.py", "--repeats", 5, "--baseline-dir", copy)
    code, _, err = align(*words)
    assert code == 2
    assert "--reason" in err
    before = (copy / "tiny" / "cpu" / "baseline.json").read_text()
    code, out, err = align(*words, "--dry-run")
    assert code == 0, out + err
    assert "change from the baseline that is there" in out
    assert (copy / "tiny" / "cpu" / "baseline.json").read_text() == before
    assert align(*words, "--reason", "to see it")[0] == 0
    assert json.loads((copy / "tiny" / "cpu" / "baseline.json").read_text())["reason"] == "to see it"


@pytest.mark.slow
def test_train_runs_in_two_processes(align, user_folder):
    code, out, err = align(
        *("train", "--config", "tiny.py", "--launcher", "pytorch", "--nproc-per-node", 2, "--device", "cpu", "--amp"),
        *("--cfg-options", "optim_wrapper.optimizer.lr=0.02", "--iterations", 3, "--work-dir", "trained"),
    )
    assert code == 0, out + err
    assert "trained 3 iterations" in out
    provenance = json.loads((user_folder / "trained" / "provenance.json").read_text())
    assert (provenance["world_size"], provenance["global_batch"], provenance["precision"]) == (2, 4, "amp-bf16")


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [[], ["-n", "2"]])
def test_the_pytest_plugin_takes_the_same_path(run, baselines, user_folder, parallel):
    (user_folder / "test_own.py").write_text("def test_own():\n    pass\n")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *parallel]
    code, out, _ = run(*words)
    assert code == 0, out
    assert "1 passed" in out
    options = ["--baseline-dir", baselines]
    chosen = ["-m", "alignment", *options, "--case", "tiny.py", "--device", "emulated", "--out", "by-pytest"]
    code, out, err = run(*words, *chosen)
    assert code == 0, out + err
    assert "1 passed" in out
    assert (user_folder / "by-pytest" / "index.html").exists()
    code, out, _ = run(*words, *chosen, "--fault", "align-corners-flipped")
    assert code == 1
    assert "FAIL: shadow: " in out
    assert "; first step: " in out
    assert "stopped after" in out
    assert "at iteration 0, where healthy runs stay within" in out
    assert "Traceback" not in out


def test_the_pytest_plugin_divides_one_false_alarm_rate_over_its_cases():
    options = {"align_fault": [], "align_no_early_stop": True, "align_false_alarm_rate": 0.004}
    config = SimpleNamespace(getoption=lambda name: options.get(name, ""))
    share = pytest_plugin._share(config, 4)
    item = SimpleNamespace(config=config, false_alarm_rate=share)
    assert pytest_plugin.CaseItem._words(item) == ["--false-alarm-rate=0.001", "--no-early-stop"]
    options["align_false_alarm_rate"] = 2.0
    with pytest.raises(pytest.UsageError, match="less than 1"):
        pytest_plugin._share(config, 4)


@pytest.mark.parametrize(
    "expression", ["not alignment", "not (alignment)", "slow", "slow and alignment", "misalignment"]
)
def test_a_run_that_does_not_select_the_marker_is_left_alone(run, expression):
    code, out, err = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", "-m", expression
    )
    assert code in (0, 5), out + err
    assert "alignment[" not in out


def test_other_suites_may_have_a_device_option_too(run, user_folder):
    folder = user_folder / "other_suite"
    folder.mkdir()
    (folder / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--device')\n    parser.addoption('--out')\n"
    )
    (folder / "test_it.py").write_text(
        "def test_it(request):\n    assert request.config.getoption('--device') == 'x'\n"
    )
    code, out, err = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder, "--device", "x")
    assert code == 0, out + err
