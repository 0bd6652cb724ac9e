"""The commands as a user types them, in a folder with a `models` and a `reports` of the user's own."""

import dataclasses
import json
import re
import shutil
import sys
from xml.etree import ElementTree as ET

import pytest

from harness.store.baselines import load_baseline
from harness.values.errors import RunError
from tests.healthy_runs import with_signal


@pytest.fixture(scope="module")
def overview(align):
    code, out, _ = align("--help")
    assert code == 0
    return out


@pytest.mark.parametrize("word", ["verify", "record", "train", "ops", "compare", "report", "cases", "faults", "doctor"])
def test_help_teaches_each_command(align, overview, word):
    assert word in overview
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


def test_cases_and_faults_are_listed(align, align_here):
    code, out, _ = align_here("cases", "--names")
    assert code == 0
    assert "ann_small" in out.split()
    code, out, _ = align_here("faults", "--names")
    assert {"conv-wgrad-x1.05", "align-corners-flipped", "bn-momentum-ignored"} <= set(out.split())
    assert align_here("cases")[0] == align_here("faults")[0] == align("doctor")[0] == 0


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


@pytest.mark.emulated
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
    assert code == 1, out + err
    assert "FAIL" in (user_folder / "merged" / "index.html").read_text()


@pytest.mark.emulated
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

    def made_again(*words):
        code, out, _ = run(sys.executable, folder / "reproduce" / "1.py", *words)
        return code, out.splitlines()[-1], float(re.search(r"^error (\S+)", out, re.MULTILINE)[1])

    code, said, error = made_again("--device", "cpu")
    assert (code, said) == (0, "NOT REPRODUCED")
    assert error < 1e-6
    code, said, error = made_again()
    assert (code, said) == (1, "REPRODUCED")
    assert 0.049 < error < 0.051


@pytest.mark.emulated
@pytest.mark.slow
def test_without_a_device_the_emulated_one_is_taken_with_a_banner(align, baselines):
    code, out, err = align("verify", "tiny.py", "--baseline-dir", baselines, "--out", "fallback")
    assert code == 0, out + err
    assert "EMULATED" in err
    assert "emulated sdaa" in out


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_recording_anew_asks_for_a_reason_and_shows_the_change(align_here, baselines, user_folder, monkeypatch):
    """The runs themselves are stood in for by the kept ones, with a loss 2 % higher."""
    copy = user_folder / "kept-too"
    shutil.copytree(baselines, copy)
    kept = load_baseline(copy, "tiny", "cpu")
    higher = {
        tier: tuple(with_signal(run, "loss", run.loss * 1.02) for run in runs) for tier, runs in kept.tiers.items()
    }

    def record_again(case, order, *, reason, **settings):
        return dataclasses.replace(kept, reason=reason, tiers=higher)

    monkeypatch.setattr("harness.running.baseline_recording.record", record_again)
    words = ("record", "tiny.py", "--repeats", 5, "--baseline-dir", copy)
    code, _, err = align_here(*words)
    assert code == 2
    assert "--reason" in err
    before = contents(copy)
    code, out, err = align_here(*words, "--dry-run")
    assert code == 0, out + err
    assert "change from the baseline that is there" in out
    assert re.search(r"^fp32 +loss +\+2 % +\+2 % ", out, re.MULTILINE)
    assert contents(copy) == before
    assert align_here(*words, "--reason", "to see it")[0] == 0
    anew = load_baseline(copy, "tiny", "cpu")
    assert anew.reason == "to see it"
    assert anew.tiers["fp32"][0].loss.tolist() == higher["fp32"][0].loss.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("words", [("verify", "counted.py", "--no-baseline"), ("train", "--config", "counted.py")])
def test_a_config_is_loaded_once_by_the_command_and_once_by_its_child(align, user_folder, words):
    """A config is a program, which may take long, and which nobody expects to run three times."""
    counted = user_folder / "counted.txt"
    counted.unlink(missing_ok=True)
    # mmengine takes no `import` and no `with` beside a config's values. The shell's parent is who loads the config.
    line = f"__import__('os').system('echo $PPID >> {counted}')\n"
    (user_folder / "counted.py").write_text((user_folder / "tiny.py").read_text() + line)
    code, out, err = align(*words, "--device", "cpu", "--iterations", 2)
    assert code == 0, out + err
    processes = counted.read_text().split()
    assert (len(processes), len(set(processes))) == (2, 2)


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


def test_a_baseline_of_several_processes_is_ordered_so(align_here, user_folder, monkeypatch):
    orders = []

    def stand_in(case, order, **settings):
        orders.append(order)
        raise RunError("enough was seen")

    monkeypatch.setattr("harness.running.baseline_recording.record", stand_in)
    words = ("record", "tiny.py", "--baseline-dir", user_folder / "pairs", "--launcher", "pytorch")
    assert align_here(*words, "--nproc-per-node", 2)[0] == 2
    assert [(order.launcher, order.processes) for order in orders] == [("pytorch", 2)]
