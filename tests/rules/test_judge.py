"""Verdicts: what the findings add up to, and the negative controls that no gate may open for."""

import dataclasses

import numpy as np
import pytest

from harness.rules.gate import judge
from harness.values.errors import BaselineError
from harness.values.sampling import EVERY_NTH, SAMPLING
from harness.values.verdict import Outcome, Status
from tests.healthy_runs import make_baseline, make_provenance, make_trace, with_signal


def judged(trace, baseline=None, **changes):
    return judge(baseline or make_baseline(), trace, make_provenance(**changes))


def test_a_healthy_run_passes_at_the_tightest_tier():
    verdict = judged(make_trace(77))
    assert verdict.status is Status.PASS
    assert verdict.aligned_tier == "fp32"
    assert "would have been seen" in verdict.reason
    assert verdict.legacy.verdict == "pass"


def test_a_run_of_lower_precision_passes_at_its_own_tier():
    verdict = judged(make_trace(77, noise=1e-3))
    assert verdict.status is Status.PASS
    assert verdict.aligned_tier == "tf32"
    assert "not at fp32" in verdict.reason


def test_the_gate_holds_to_the_demanded_tier():
    verdict = judge(make_baseline(), make_trace(77, noise=1e-3), make_provenance(), tier="fp32")
    assert verdict.status is Status.FAIL


def test_healthy_runs_of_unseen_seeds_are_not_failed():
    baseline = make_baseline()
    failures = sum(judged(make_trace(1000 + seed), baseline).status is not Status.PASS for seed in range(200))
    assert failures <= 1


def test_a_demanded_tier_that_the_baseline_lacks_is_an_error():
    with pytest.raises(BaselineError, match="demanded precision tier"):
        judge(make_baseline(), make_trace(77), make_provenance(), tier="bf16")


def test_masks_that_the_device_drew_itself_are_another_experiment():
    drawn = np.zeros(30)
    verdict = judged(with_signal(make_trace(77), "device_draws", drawn))
    assert verdict.status is Status.PASS
    drawn[4:] = 1.0
    verdict = judged(with_signal(make_trace(77), "device_draws", drawn))
    assert verdict.status is Status.INCONCLUSIVE
    assert "random draws is on the host on the reference and on the device at iteration 4" in verdict.reason


def test_masks_that_were_drawn_by_no_generator_that_is_watched_are_another_experiment():
    """The host's generator isn't where the reference's was: a compiler drew by one of its own."""
    places = np.linspace(0.1, 0.9, 30)
    baseline = make_baseline()
    told = {
        tier: tuple(with_signal(run, "host_draws", places) for run in runs) for tier, runs in baseline.tiers.items()
    }
    baseline = dataclasses.replace(baseline, tiers=told)
    assert judged(with_signal(make_trace(77), "host_draws", places), baseline).status is Status.PASS
    assert judged(make_trace(77), baseline).status is Status.PASS  # an older run doesn't tell
    moved = np.where(np.arange(30) < 3, places, places / 2)
    verdict = judged(with_signal(make_trace(77), "host_draws", moved), baseline)
    assert verdict.status is Status.INCONCLUSIVE
    assert "up to iteration 3" in verdict.reason


def test_another_experiment_is_inconclusive_and_says_why():
    verdict = judged(make_trace(77), seed=1)
    assert verdict.status is Status.INCONCLUSIVE
    assert "seed is 0 on the reference and 1 on the candidate" in verdict.reason


def test_a_violation_names_rule_and_iteration():
    trace = make_trace(77)
    values = trace.signals["bn_var_norm"].copy()
    values[6:] *= 1.5
    verdict = judged(with_signal(trace, "bn_var_norm", values))
    assert verdict.status is Status.FAIL
    assert verdict.reason.startswith("state: bn_var_norm is ")
    assert "% above the reference at iteration 6, where healthy runs stay within" in verdict.reason
    assert verdict.findings[0].status is Outcome.FAIL


def test_a_lower_loss_fails_where_the_legacy_rule_passes():
    trace = make_trace(77)
    verdict = judged(with_signal(trace, "loss", trace.loss * 0.6))
    assert verdict.status is Status.FAIL
    assert verdict.legacy.verdict == "pass"


def test_a_reference_that_scatters_too_far_to_show_equivalence_decides_nothing():
    """Its loss is known at the first iterations, and drifts by some 10 % a run, up or down, to the end."""
    baseline = make_baseline()

    def drifting(run, seed):
        drift = 0.1 * np.random.default_rng(seed).standard_normal() * np.clip((run.iterations - 3) / 10, 0, 1)
        return with_signal(run, "loss", run.loss * np.exp(drift))

    tiers = {tier: tuple(drifting(run, seed) for seed, run in enumerate(runs)) for tier, runs in baseline.tiers.items()}
    verdict = judged(drifting(make_trace(77), 77), dataclasses.replace(baseline, tiers=tiers))
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.reason.startswith("equivalence: ")
    assert not [finding for finding in verdict.violations if finding.rule != "precision tier"]


def shuffled(trace):
    return with_signal(trace, "loss", np.random.default_rng(0).permutation(trace.loss))


def one_wild(trace):
    return with_signal(trace, "loss", np.where(trace.iterations == 12, 1000.0, trace.loss))


CONTROLS = {
    "shuffled": shuffled,
    "two per cent above": lambda trace: with_signal(trace, "loss", trace.loss * 1.02),
    "one iteration at 1000": one_wild,
    "last iteration infinite": lambda trace: with_signal(trace, "loss", np.append(trace.loss[:-1], np.inf)),
    "frozen": lambda trace: with_signal(trace, "loss", np.full(30, trace.loss[0])),
    "all zero": lambda trace: with_signal(trace, "loss", np.zeros(30)),
    "all NaN": lambda trace: with_signal(trace, "loss", np.full(30, np.nan)),
    "negated": lambda trace: with_signal(trace, "loss", -trace.loss),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_negative_controls_fail(control):
    assert judged(CONTROLS[control](make_trace(77))).status is Status.FAIL


@pytest.mark.parametrize("left", [0, 1, 12, 29])
def test_a_run_that_is_cut_short_is_an_error(left):
    trace = make_trace(77, iterations=left)
    cut = dataclasses.replace(trace, planned=30, complete=False)
    assert judged(cut).status is Status.ERROR


def test_a_run_that_is_cut_short_and_says_it_is_whole_does_not_pass():
    cut = dataclasses.replace(make_trace(77, iterations=12), planned=30)
    assert judged(cut).status is Status.INCONCLUSIVE


def test_nan_on_both_sides_is_no_agreement():
    broken = with_signal(make_trace(77), "loss", np.full(30, np.nan))
    tiers = {"fp32": (broken, *make_baseline().tiers["fp32"][1:])}
    with pytest.raises(BaselineError, match="not finite"):
        make_baseline(tiers=tiers)
    assert judged(broken).status is Status.FAIL


def test_two_ranks_of_one_run_are_no_reference_and_candidate():
    """Each rank has batches of its own: equal weights, other losses."""
    other = dataclasses.replace(make_trace(77), batches=tuple(f"{at:032x}" for at in range(100, 130)))
    verdict = judged(other, world_size=2)
    assert verdict.status is Status.INCONCLUSIVE
    assert "world size is 1 on the reference and 2 on the candidate" in verdict.reason
    one = judged(other)
    assert one.status is Status.INCONCLUSIVE
    assert "batches (from iteration 0)" in one.reason


@pytest.mark.parametrize(("ours", "theirs"), [("", SAMPLING), (SAMPLING, ""), ("rows of 32 elements", SAMPLING)])
def test_norms_of_other_elements_are_another_experiment(ours, theirs):
    baseline = make_baseline(provenance=make_provenance(sampling=ours))
    verdict = judged(make_trace(77), baseline, sampling=theirs)
    assert verdict.status is Status.INCONCLUSIVE
    said = [text or EVERY_NTH for text in (ours, theirs)]
    assert f"sample is {said[0]} on the reference and {said[1]} on the candidate" in verdict.reason


@pytest.mark.parametrize("sampling", ["", SAMPLING])
def test_norms_of_the_same_elements_are_comparable_an_older_version_s_too(sampling):
    baseline = make_baseline(provenance=make_provenance(sampling=sampling))
    assert judged(make_trace(77), baseline, sampling=sampling).status is Status.PASS


def test_the_reference_against_itself_passes():
    baseline = make_baseline()
    assert judged(baseline.tiers["fp32"][0], baseline).status is Status.PASS


@pytest.mark.parametrize(("status", "code"), [("PASS", 0), ("FAIL", 1), ("ERROR", 2), ("INCONCLUSIVE", 3)])
def test_exit_codes(status, code):
    assert Status(status).exit_code == code


def with_table(trace, table, name, value):
    """The same trace with a further name in one of its tables."""
    old = getattr(trace, table)
    values = np.c_[old.values, np.full(len(old.iterations), value)]
    return dataclasses.replace(trace, **{table: dataclasses.replace(old, names=(*old.names, name), values=values)})


EXTRAS = {
    "further learning rates": (lambda t: with_signal(t, "lr.1", t.signals["lr"] * 100), "lr.1"),
    "further loss components": (lambda t: with_signal(t, "extra.loss_ce", t.loss * 100), "extra.loss_ce"),
    "further signals": (lambda t: with_signal(t, "ghost_norm", t.loss), "ghost_norm"),
    "further tensors": (lambda t: with_table(t, "state", "param/ghost", 1e9), "param/ghost"),
    "further answers in evaluation mode": (
        lambda t: with_table(t, "evaluation", "pixels/decode/0/99", 1e6),
        "pixels/decode/0/99",
    ),
}


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_only_the_candidate_has_is_named_and_never_passes(extra):
    change, name = EXTRAS[extra]
    verdict = judged(change(make_trace(77)))
    assert verdict.status is Status.INCONCLUSIVE
    assert f"{extra} is none on the reference and {name} on the candidate" in verdict.reason


def test_a_signal_that_no_rule_looks_at_must_be_there_too():
    trace = make_trace(77)
    signals = {name: values for name, values in trace.signals.items() if name != "decode.acc_seg"}
    verdict = judged(dataclasses.replace(trace, signals=signals))
    assert verdict.status is Status.INCONCLUSIVE
    assert "signals that one side lacks is decode.acc_seg on the reference" in verdict.reason
    signals = {name: values for name, values in trace.signals.items() if name != "grad_norm"}
    assert judged(dataclasses.replace(trace, signals=signals)).status is Status.FAIL


def test_many_extras_are_counted():
    trace = make_trace(77)
    for number in range(6):
        trace = with_signal(trace, f"lr.{number + 1}", trace.signals["lr"])
    assert "lr.1, lr.2, lr.3 and 3 more" in judged(trace).reason


def test_what_a_device_says_of_itself_is_no_experiment():
    baseline = make_baseline()
    silent = {
        tier: tuple(
            dataclasses.replace(run, signals={name: run.signals[name] for name in run.signals if name != "memory"})
            for run in runs
        )
        for tier, runs in baseline.tiers.items()
    }
    assert judged(make_trace(77), dataclasses.replace(baseline, tiers=silent)).status is Status.PASS
