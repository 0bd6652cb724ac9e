"""A run in pieces, each from start weights: where rounding begins to grow anew, the bounds are sharp anew."""

import dataclasses

import numpy as np
import pytest

from harness.rules.first_step import FirstStepRule
from harness.rules.gate import Gate, judge
from harness.rules.sight import measure_sight
from harness.rules.spread import measure_spread, smooth_over_iterations
from harness.rules.state import StateRule
from harness.rules.tier import TierRules
from harness.values.trace import PIECE
from harness.values.verdict import Outcome, Status
from tests.healthy_runs import make_baseline, make_provenance, make_trace, with_signal

CHAOS = 3.0
"""Factor of growth an iteration: after ten of them runs are 6 % apart, and 10 % from there on."""


def in_pieces(trace, starts=(0, 10, 20)):
    number = np.searchsorted(starts, trace.iterations, "right") - 1
    return with_signal(trace, PIECE, number)


def chaotic(seed, starts=(0, 10, 20)):
    """A healthy run whose loss parts from others by a factor of three an iteration, anew in each piece."""
    run = in_pieces(make_trace(seed, noise=0.0), starts) if len(starts) > 1 else make_trace(seed, noise=0.0)
    age = run.iterations - np.array(starts)[np.searchsorted(starts, run.iterations, "right") - 1]
    draw = np.random.default_rng(seed).standard_normal((4, len(run)))
    for name, drawn in zip(("loss", "grad_norm", "update_norm", "param_norm"), draw, strict=True):
        run = with_signal(run, name, run.signals[name] * np.exp(np.minimum(1e-6 * CHAOS**age, 0.1) * drawn))
    return run


def baseline_of(starts):
    return make_baseline(tiers={"fp32": tuple(chaotic(seed, starts) for seed in range(8))})


def test_sigma_is_pooled_within_a_piece_alone():
    sigma = np.concatenate([np.full(10, 1e-3), np.full(10, 1e-6)])
    spread = dataclasses.replace(measure_spread(np.full((8, 20), 1.0)), sigma=sigma)
    assert smooth_over_iterations(spread).sigma[10] > 1e-4
    assert smooth_over_iterations(spread, (0, 10)).sigma.tolist() == pytest.approx(sigma.tolist())


def test_what_a_piece_ends_with_says_nothing_of_the_next_ones_start():
    """A weight that parts at the second piece's start is no reason to allow it at the end of the first."""
    healthy = [chaotic(seed) for seed in range(8)]
    apart = np.random.default_rng(0).standard_normal(8)
    for number, run in enumerate(healthy):
        values = run.state.values.copy()
        kept = run.state.iterations
        column = run.state.names.index("param/conv.weight")
        values[kept >= 10, column] *= 1 + 1e-2 * apart[number]
        healthy[number] = dataclasses.replace(run, state=dataclasses.replace(run.state, values=values))
    bounds = StateRule(healthy, 30, tier="fp32", false_alarm_rate=1e-3)._tensors
    last = np.flatnonzero(healthy[0].state.iterations < 10)[-1]
    row = bounds.allowed[bounds.signals.index("param/conv.weight")]
    assert row[last] < 1e-3 < row[last + 1]


def test_of_one_piece_the_smoothing_is_what_it_was():
    spread = measure_spread(np.random.default_rng(0).random((8, 30)) + 1)
    assert smooth_over_iterations(spread).sigma.tolist() == smooth_over_iterations(spread, (0,)).sigma.tolist()


def test_a_piece_in_which_a_component_has_no_value_has_no_place():
    late = np.arange(30) < 14

    def gap(run):
        values = np.where(late, np.nan, run.signals["aux.loss_ce"])
        signals = {**run.signals, "aux.loss_ce": values}
        return dataclasses.replace(run, signals=signals, missing={"aux.loss_ce": late})

    healthy = [gap(chaotic(seed)) for seed in range(8)]
    bounds = TierRules("fp32", healthy, 30, 1e-3).signal_bounds[0]
    row = bounds.signals.index("aux.loss_ce")
    assert np.isinf(bounds.spread.sigma[row, :14]).all()
    assert np.isfinite(bounds.spread.sigma[row, 14:]).all()


@pytest.mark.parametrize("planned", [30, 20, 11, 10, 1])
def test_the_first_step_is_that_of_each_piece_that_the_run_has(planned):
    rule = FirstStepRule([chaotic(seed) for seed in range(8)], planned, tier="fp32", false_alarm_rate=1e-3)
    run = chaotic(77).head(planned)
    assert {finding.status for finding in rule.judge(run)} == {Outcome.PASS}
    last = max(start for start in (0, 10, 20) if start < planned)
    off = with_signal(run, "loss", np.where(run.iterations == last, run.loss * 1.0001, run.loss))
    failed = {finding.signal: finding.iteration for finding in rule.judge(off) if finding.status is Outcome.FAIL}
    assert failed == {"loss": last}


def test_a_run_that_goes_on_is_held_to_the_pieces_that_it_has_reached():
    rule = FirstStepRule([chaotic(seed) for seed in range(8)], 30, tier="fp32", false_alarm_rate=1e-3)
    assert {finding.status for finding in rule.judge(chaotic(77).head(15))} == {Outcome.PASS}


def test_a_fault_that_begins_when_a_whole_run_is_blind_is_seen_in_pieces():
    """2 % of the loss from the middle of the run on."""

    def verdict(starts):
        run = chaotic(77, starts)
        off = with_signal(run, "loss", np.where(run.iterations >= 15, run.loss * 1.02, run.loss))
        baseline = baseline_of(starts)
        assert judge(baseline, run, make_provenance()).status is Status.PASS
        return judge(baseline, off, make_provenance())

    assert verdict((0,)).status is not Status.FAIL
    found = verdict((0, 10, 20))
    assert found.status is Status.FAIL
    assert found.violations[0].iteration == 15


def test_a_sentence_says_in_how_many_pieces_and_at_how_many_iterations_nothing_is_seen():
    baseline = baseline_of((0, 15))
    said = judge(baseline, chaotic(77, (0, 15)), make_provenance()).reason
    assert "over 30 iterations in 2 pieces" in said
    assert "iterations (ends of pieces) the reference's own runs part by more" in said
    sight = TierRules("fp32", baseline.tiers["fp32"], 30, 1e-3).sights[0]
    assert (sight.pieces, sight.iterations) == (2, 30)
    assert 2 <= sight.blind <= 16
    assert sight.worst[0] <= sight.limit


def test_sight_is_counted_piece_by_piece():
    healthy = baseline_of((0, 15)).tiers["fp32"]
    bounds = TierRules("fp32", healthy, 30, 1e-3).signal_bounds[0]
    halves = [measure_sight(bounds, starts)[0].blind for starts in ((0,), (0, 15))]
    assert halves[0] < halves[1], "taken as one piece, what lies before the second half's sight isn't called blind"


def test_other_restarts_are_another_experiment_and_named():
    baseline = baseline_of((0, 10, 20))
    for run in (chaotic(77, (0, 15)), chaotic(77, (0,))):
        for trace in (run, run.head(20)):
            verdict = Gate(baseline, trace.planned, "fp32").judge(trace, make_provenance())
            assert verdict.status is Status.INCONCLUSIVE
            assert "restarts is at 10" in verdict.reason
    plain = make_baseline()
    verdict = judge(plain, in_pieces(make_trace(77)), make_provenance())
    assert verdict.status is Status.INCONCLUSIVE
    assert "restarts is none on the reference and at 10, 20 on the candidate" in verdict.reason


def test_the_first_part_of_a_run_in_pieces_is_comparable():
    gate = Gate(baseline_of((0, 10, 20)), 15, "fp32")
    assert gate.judge(chaotic(77).head(15), make_provenance()).status is Status.PASS
