"""Verdicts from end to end, on a config of a user's own."""

import dataclasses
import shutil

import pytest

from harness.running.cases import find_case
from harness.running.verification import verify
from harness.running.watchdog import Timeouts, execute
from harness.store.baselines import load_baseline, save_baseline
from harness.values.verdict import Status

pytestmark = pytest.mark.slow


def verified(tiny, order, baselines, folder, early_stop=True, same=(), **changes):
    order = dataclasses.replace(order, **changes)
    case = find_case(order.config, order.options)
    return verify(case, order, baselines=baselines, folder=folder, early_stop=early_stop, same=same)


def test_the_reference_itself_passes(tiny, order, baselines, tmp_path):
    result = verified(tiny, order, baselines, tmp_path)
    assert result.verdict.status is Status.PASS, result.verdict.reason
    assert result.verdict.aligned_tier == "fp32"
    assert not result.emulated


def test_fewer_iterations_pass(tiny, order, baselines, tmp_path):
    assert verified(tiny, order, baselines, tmp_path, iterations=5).verdict.status is Status.PASS


def test_more_iterations_than_the_baseline_has_are_an_error(tiny, order, baselines, tmp_path):
    verdict = verified(tiny, order, baselines, tmp_path, iterations=13).verdict
    assert verdict.status is Status.ERROR
    assert "align record" in verdict.reason


def test_an_older_version_s_baseline_is_refused_before_anything_trains(tiny, order, baselines, tmp_path):
    baseline = load_baseline(baselines, "tiny")
    older = dataclasses.replace(baseline, provenance=dataclasses.replace(baseline.provenance, sampling=""))
    save_baseline(tmp_path / "older", older)
    verdict = verified(tiny, order, tmp_path / "older", tmp_path / "run").verdict
    assert verdict.status is Status.ERROR
    assert "every n-th element" in verdict.reason
    assert f"--baseline-dir {tmp_path / 'older'} --tiers fp32 --iterations 12 --repeats 5" in verdict.reason
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("optim_wrapper.optimizer.lr=0.02", "optim_wrapper.optimizer.lr"),
        ("alignment.seed=1", "seed"),
        ("randomness.seed=1", "seed"),
        ("train_dataloader.dataset.data_seed=1", "data_seed"),
        ("train_dataloader.batch_size=4", "global batch"),
    ],
)
def test_another_experiment_is_inconclusive_and_named(tiny, order, baselines, tmp_path, option, named):
    verdict = verified(tiny, order, baselines, tmp_path, options=(option,)).verdict
    assert verdict.status is Status.INCONCLUSIVE
    assert named in verdict.reason


def test_a_default_that_is_spelt_out_is_no_difference(tiny, order, baselines, tmp_path):
    verdict = verified(tiny, order, baselines, tmp_path, options=("optim_wrapper.optimizer.dampening=0",)).verdict
    assert verdict.status is Status.PASS, verdict.reason


def test_a_setting_that_is_accepted_is_judged_and_told(tiny, order, baselines, tmp_path):
    name = "optim_wrapper.optimizer.lr"
    result = verified(tiny, order, baselines, tmp_path, options=(f"{name}=0.02",), same=(name,))
    assert result.verdict.status is Status.FAIL
    assert [text for text in result.terms.left_out if name in text] == [f"an equal {name} (0.01 → 0.02)"]


@pytest.mark.emulated
@pytest.mark.parametrize(("trouble", "drawn"), [("", 0.0), ("draw", 1.0)])
def test_a_run_says_whether_it_drew_from_the_devices_generator(order, tmp_path, trouble, drawn):
    options = (f"model.trouble={trouble}",) if trouble else ()
    order = dataclasses.replace(order, options=options, device="emulated", profile="fp32", iterations=2)
    trace = execute(order, tmp_path).trace
    assert trace.signals["device_draws"].tolist() == [drawn, drawn]


def test_a_nan_fails(tiny, order, baselines, tmp_path):
    verdict = verified(tiny, order, baselines, tmp_path, options=("model.trouble=nan",)).verdict
    assert verdict.status is not Status.PASS
    assert "model.trouble" in verdict.reason


@pytest.mark.emulated
@pytest.mark.parametrize("fault", ["conv-wgrad-x1.05", "align-corners-flipped", "bn-momentum-ignored"])
def test_each_fault_fails_on_the_emulated_device(tiny, order, baselines, tmp_path, fault):
    result = verified(tiny, order, baselines, tmp_path, device="emulated", faults=(fault,))
    assert result.verdict.status is Status.FAIL, result.verdict.reason
    assert result.emulated
    assert result.candidate.device.fault == fault


@pytest.mark.emulated
def test_a_run_that_fails_is_stopped_and_the_whole_run_has_the_same_verdict(
    tiny, order, baselines, tmp_path, monkeypatch
):
    faulty = {"device": "emulated", "faults": ("conv-wgrad-x1.05",)}
    with monkeypatch.context() as patch:
        patch.setenv("TINY_SECONDS", "0.2")  # twelve iterations of milliseconds end before a busy machine looks
        early = verified(tiny, order, baselines, tmp_path / "early", **faulty)
    whole = verified(tiny, order, baselines, tmp_path / "whole", early_stop=False, **faulty)
    seen = len(early.trace)
    assert seen < 12
    assert f"stopped after {seen} of 12 iterations" in early.verdict.reason
    assert whole.trace.complete
    assert early.verdict.status is whole.verdict.status is Status.FAIL
    assert early.verdict.reason.startswith(whole.verdict.reason)
    assert early.verdict.legacy is not None
    assert early.candidate == dataclasses.replace(whole.candidate, started=early.candidate.started)


def test_another_experiment_is_not_trained(tiny, order, baselines, tmp_path, monkeypatch):
    changed = {"options": ("optim_wrapper.optimizer.lr=0.5",)}
    with monkeypatch.context() as patch:
        patch.setenv("TINY_SECONDS", "0.2")  # twelve iterations of milliseconds end before a busy machine looks
        result = verified(tiny, order, baselines, tmp_path / "early", **changed)
    assert result.verdict.status is Status.INCONCLUSIVE
    assert "stopped" in result.verdict.reason
    assert result.trace is None or len(result.trace) < 12
    whole = verified(tiny, order, baselines, tmp_path / "whole", early_stop=False, **changed)
    assert whole.verdict.status is Status.INCONCLUSIVE
    assert whole.trace.complete


@pytest.mark.parametrize("profile", ["fp32", "exact"])
def test_a_healthy_emulated_port_passes(tiny, order, baselines, tmp_path, profile):
    result = verified(tiny, order, baselines, tmp_path, device="emulated", profile=profile)
    assert result.verdict.status is Status.PASS, result.verdict.reason


def test_a_broken_baseline_is_an_error_before_anything_is_run(tiny, order, baselines, tmp_path):
    copy = tmp_path / "baselines"
    shutil.copytree(baselines, copy)
    victim = copy / "tiny" / "cpu" / "fp32" / "run-3.csv"
    victim.write_text(victim.read_text().replace("0", "1", 1))
    result = verified(tiny, order, copy, tmp_path / "run")
    assert result.verdict.status is Status.ERROR
    assert "run-3.csv" in result.verdict.reason
    assert result.trace is None


def test_a_run_that_hangs_is_an_error_that_holds_what_it_printed(order, baselines, tmp_path):
    order = dataclasses.replace(order, options=("model.trouble=hang",))
    case = find_case(order.config, order.options)
    loose = dataclasses.replace(order, iterations=12)
    result = verify(case, loose, baselines=baselines, folder=tmp_path, early_stop=False, timeouts=Timeouts(stall=3.0))
    assert result.verdict.status is Status.ERROR
    assert "read output.log, beside the report" in result.verdict.reason
    assert result.log == (tmp_path / "output.log").read_bytes()
