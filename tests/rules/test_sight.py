"""What a baseline can't see is said, and what it can't see from the start decides nothing."""

import numpy as np
import pytest

from harness.rules.gate import Gate, judge
from harness.rules.sight import LARGEST_HIDDEN_LOSS, LARGEST_HIDDEN_NORM
from harness.rules.tier import TierRules
from harness.rules.visibility import measure_visibility
from harness.values.verdict import Outcome, Status
from tests.healthy_runs import make_baseline, make_provenance, make_trace, with_signal

NORMS = ("grad_norm", "update_norm", "param_norm")


def scattered(scatter, names, start=0):
    """A baseline whose runs part by a factor of exp(± scatter) in some signals from an iteration on."""
    draw = np.random.default_rng(3)

    def scatter_run(run):
        for name in names:
            factor = np.where(run.iterations >= start, np.exp(scatter * draw.standard_normal(len(run))), 1.0)
            run = with_signal(run, name, run.signals[name] * factor)
        return run

    return make_baseline(tiers={"fp32": tuple(scatter_run(make_trace(seed)) for seed in range(8))})


def sights(baseline):
    rules = TierRules("fp32", baseline.tiers["fp32"], baseline.iterations, 1e-3)
    return {one.signal: one for one in rules.sights}, rules


def changed(name, factor, start=0):
    run = make_trace(77)
    return with_signal(run, name, np.where(run.iterations >= start, run.signals[name] * factor, run.signals[name]))


@pytest.mark.parametrize("name", NORMS)
def test_a_demanded_signal_that_is_blind_throughout_decides_nothing(name):
    baseline = scattered(2.0, (name,))
    for trace in (make_trace(77), changed(name, 3.0)):
        verdict = judge(baseline, trace, make_provenance())
        assert verdict.status is Status.INCONCLUSIVE
        assert verdict.reason.startswith(f"sight: {name} is blind at every iteration")


def test_a_loss_that_is_blind_throughout_decides_nothing():
    verdict = judge(scattered(0.3, ("loss",)), changed("loss", 1.04), make_provenance())
    assert verdict.status is Status.INCONCLUSIVE


def test_a_component_that_is_blind_is_named_and_does_not_decide():
    baseline = scattered(2.0, ("aux.loss_ce",))
    verdict = judge(baseline, make_trace(77), make_provenance())
    assert verdict.status is Status.PASS
    assert verdict.reason.endswith("; blind: aux.loss_ce from iteration 0 on")
    (finding,) = [one for one in verdict.findings if one.rule == "sight"]
    assert (finding.status, finding.signal, finding.iteration) == (Outcome.INFO, "aux.loss_ce", 0)


@pytest.mark.parametrize("scatter", [0.05, 0.3, 2.0])
@pytest.mark.parametrize("start", [1, 5])
def test_a_sentence_promises_nothing_where_the_loss_is_blind(scatter, start):
    """A deviation of 5 % or more never passes there, and one below it not without a word."""
    baseline = scattered(scatter, ("loss",), start)
    sight, _ = sights(baseline)
    blind_from = sight["loss"].blind_from
    assert blind_from in {start - 1, start}  # a bound is pooled with its neighbours'
    for factor in (1.049, 1.5, 0.5):
        verdict = judge(baseline, changed("loss", factor, start), make_provenance())
        if verdict.status is not Status.PASS:
            continue
        assert factor == 1.049
        assert f"; from iteration {blind_from} on the reference's own runs part by more" in verdict.reason
        assert "only its mean over the run is held, to ±5 %" in verdict.reason
        promised = [float(part.split(" %")[0]) for part in verdict.reason.split(" off by ")[1:]]
        assert all(one <= 5 for one in promised)


def test_what_sees_to_the_end_says_both_ends():
    verdict = judge(make_baseline(), make_trace(77), make_provenance())
    assert verdict.status is Status.PASS
    assert " at iteration 0 or by " in verdict.reason
    assert "blind" not in verdict.reason
    assert not [one for one in verdict.findings if one.rule == "sight"]


def test_one_iteration_is_one_promise():
    verdict = Gate(make_baseline(), 1).judge(make_trace(77, iterations=1), make_provenance())
    assert "aligned at fp32, with the reference cpu over 1 iteration; a loss off by " in verdict.reason
    assert " or by " not in verdict.reason


def test_what_nothing_holds_is_said_so():
    """Too few iterations to show equivalence, and blind from the second on."""
    baseline = scattered(0.3, ("loss",), 1)
    trace = make_trace(77, iterations=5)
    verdict = judge(baseline, trace, make_provenance())
    assert verdict.status is Status.PASS
    assert "and there nothing holds it" in verdict.reason


def test_the_limits_are_those_of_a_loss_and_of_a_norm():
    sight, _ = sights(make_baseline())
    assert sight["loss"].limit == sight["aux.loss_ce"].limit == LARGEST_HIDDEN_LOSS == 0.05
    assert sight["grad_norm"].limit == LARGEST_HIDDEN_NORM == 1.0


@pytest.mark.parametrize("signal", ["loss", "grad_norm", "param_norm", "bn_var_norm"])
@pytest.mark.parametrize("iteration", [0, 10, 29])
def test_what_recording_promises_the_gate_calls(signal, iteration):
    """A deviation of what `align record` says is seen is a violation, a little less is none."""
    healthy = make_baseline().tiers["fp32"]
    rules = TierRules("fp32", healthy, 30, 1e-3)
    (seen,) = [one for one in measure_visibility(rules, (iteration,)) if one.signal == signal]
    center = np.exp(np.mean([np.log(run.signals[signal]) for run in healthy], axis=0))
    for share, called in ((1.01, True), (0.99, False)):
        values = center * np.where(np.arange(30) == iteration, 1 - share * seen.detectable, 1.0)
        judged = rules.judge(with_signal(make_trace(77), signal, values))
        found = [one for one in judged.findings if one.signal == signal and one.rule in {"envelope", "state"}]
        assert (found[0].status is Outcome.FAIL) is called
