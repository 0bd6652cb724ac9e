"""Evaluation mode: losses and confusion matrices of a fixed batch beside those of healthy runs."""

import dataclasses

import numpy as np
import pytest

from harness.rules.evaluation import EvaluationRule
from harness.rules.finiteness import judge_finiteness
from harness.rules.gate import judge
from harness.rules.tier import STATISTICAL_RULES, TierRules
from harness.rules.visibility import measure_evaluation
from harness.values.trace import StateTable
from harness.values.verdict import Outcome, Status
from tests.healthy_runs import make_baseline, make_provenance, make_trace

LOSS, PIXELS = "evaluation/loss/decode.loss_ce", "evaluation/pixels/decode"


def rules_of(healthy):
    """Of a chance of 1e-3 for each of the rules."""
    return TierRules("", healthy, len(healthy[0]), 1e-3 * STATISTICAL_RULES)


def judge_evaluation(healthy, candidate, *, tier, false_alarm_rate):
    return EvaluationRule(healthy, len(candidate), tier=tier, false_alarm_rate=false_alarm_rate).judge(candidate)


def found(candidate, repeats=8):
    healthy = [make_trace(seed) for seed in range(repeats)]
    findings = judge_evaluation(healthy, candidate, tier="fp32", false_alarm_rate=1e-3)
    return {finding.signal: finding for finding in findings}


def answering(trace, change):
    """The same run with other answers: ``change`` gets the table's values (S, P) and the names."""
    values = trace.evaluation.values.copy()
    change(values, trace.evaluation.names)
    return dataclasses.replace(trace, evaluation=dataclasses.replace(trace.evaluation, values=values))


def turn(values, row, pixels):
    """Pixels of label 0 that are given class 1 instead of 0."""
    values[row, 1] -= pixels
    values[row, 2] += pixels


def test_a_healthy_run_passes_with_what_would_have_been_seen():
    findings = found(make_trace(77))
    assert set(findings) == {LOSS, PIXELS}
    assert all(finding.status is Outcome.PASS for finding in findings.values())
    assert 0 < findings[PIXELS].smallest_detectable < 0.05
    assert "another cell of decode's confusion matrix" in findings[PIXELS].message


@pytest.mark.parametrize(("row", "iteration"), [(0, 0), (1, 8), (2, 29)])
def test_pixels_that_are_given_another_class_fail_at_their_iteration(row, iteration):
    finding = found(answering(make_trace(77), lambda values, _: turn(values, row, 100)))[PIXELS]
    assert (finding.status, finding.iteration) == (Outcome.FAIL, iteration)
    assert finding.observed == pytest.approx(100 / 2000, rel=0.05)


def test_pixels_that_change_places_without_changing_the_accuracy_fail():
    def swap(values, _):
        turn(values, 1, 100)
        values[1, 3] += 100
        values[1, 4] -= 100

    assert found(answering(make_trace(77), swap))[PIXELS].status is Outcome.FAIL


@pytest.mark.parametrize("factor", [1.001, 0.999])
def test_a_loss_off_to_either_side_fails(factor):
    def off(values, names):
        values[:, names.index("loss/decode.loss_ce")] *= factor

    finding = found(answering(make_trace(77), off))[LOSS]
    assert (finding.status, finding.iteration) == (Outcome.FAIL, 0)
    assert finding.observed == pytest.approx(factor - 1, rel=0.1)


@pytest.mark.parametrize("column", [0, 1])
def test_nan_fails_this_rule_and_finiteness(column):
    def nan(values, _):
        values[2, column] = np.nan

    candidate = answering(make_trace(77), nan)
    broken = [finding for finding in found(candidate).values() if finding.status is Outcome.FAIL]
    assert [finding.iteration for finding in broken] == [29]
    named = f"evaluation/{candidate.evaluation.names[column]}"
    assert named in [finding.signal for finding in judge_finiteness(candidate)]


def test_a_run_that_was_never_asked_fails():
    candidate = dataclasses.replace(make_trace(77), evaluation=StateTable.empty())
    assert all(finding.status is Outcome.FAIL for finding in found(candidate).values())


def test_a_run_too_short_for_any_answer_is_undecided():
    healthy = [make_trace(seed) for seed in range(8)]
    late = [
        dataclasses.replace(run, evaluation=StateTable(np.array([8]), run.evaluation.names, run.evaluation.values[1:2]))
        for run in healthy
    ]
    findings = judge_evaluation(late, make_trace(77, iterations=5), tier="fp32", false_alarm_rate=1e-3)
    assert {finding.status for finding in findings} == {Outcome.INCONCLUSIVE}


def test_of_a_shorter_run_the_answers_that_both_have_are_judged():
    short = make_trace(77).head(10)
    assert found(short)[PIXELS].status is Outcome.PASS
    assert found(answering(short, lambda values, _: turn(values, 1, 100)))[PIXELS].iteration == 8


def test_a_reference_without_answers_says_nothing():
    healthy = [dataclasses.replace(make_trace(seed), evaluation=StateTable.empty()) for seed in range(8)]
    assert judge_evaluation(healthy, make_trace(77), tier="fp32", false_alarm_rate=1e-3) == []


def test_a_single_pixel_is_no_fault_where_all_healthy_runs_agree():
    """Rounding may turn a pixel between two classes, however well a few runs agree."""
    healthy = [make_trace(seed) for seed in range(8)]
    same = [dataclasses.replace(run, evaluation=healthy[0].evaluation) for run in healthy]
    candidate = answering(same[0], lambda values, _: turn(values, 0, 1))
    findings = judge_evaluation(same, candidate, tier="fp32", false_alarm_rate=1e-3)
    assert {finding.signal: finding.status for finding in findings}[PIXELS] is Outcome.PASS


@pytest.mark.parametrize(("times", "status"), [(0.9, Outcome.PASS), (1.1, Outcome.FAIL)])
def test_what_is_said_to_be_seen_is_called(times, status):
    healthy = [make_trace(seed) for seed in range(8)]
    seen = {(one.signal, one.iteration): one.detectable for one in measure_evaluation(rules_of(healthy))}
    assert set(seen) == {(signal, at) for signal in ("loss/decode.loss_ce", "pixels/decode") for at in (0, 8, 29)}
    mean = np.mean([run.evaluation.values[1] for run in healthy], axis=0)

    def move(values, _):
        values[1] = mean
        turn(values, 1, times * seen["pixels/decode", 8] * mean[1:].sum())

    assert found(answering(make_trace(77), move))[PIXELS].status is status


def test_of_a_reference_without_answers_nothing_is_seen():
    healthy = [dataclasses.replace(make_trace(seed), evaluation=StateTable.empty()) for seed in range(8)]
    assert measure_evaluation(rules_of(healthy)) == ()


def test_the_bound_on_pixels_holds_for_many_cells_that_scatter_together():
    """Healthy matrices of 5 × 5 cells that scatter as pixels do: the rate asked for is not exceeded."""
    rng = np.random.default_rng(5)
    names = tuple(f"pixels/decode/{label}/{given}" for label in range(5) for given in range(5))

    def run():
        cells = np.concatenate([rng.multinomial(2000, np.full(5, 0.2)) for _ in range(5)]).astype(float)
        return dataclasses.replace(make_trace(), evaluation=StateTable(np.array([0]), names, cells[None]))

    false_alarms = sum(
        finding.status is Outcome.FAIL
        for _ in range(300)
        for finding in judge_evaluation([run() for _ in range(8)], run(), tier="fp32", false_alarm_rate=0.05)
    )
    assert false_alarms <= 24  # 15 expected at most; Poisson's 99th percentile


def test_the_gate_fails_a_model_that_is_wrong_in_evaluation_mode_alone():
    wrong = answering(make_trace(77), lambda values, _: turn(values, 2, 200))
    verdict = judge(make_baseline(), wrong, make_provenance(), tier="tf32")
    assert verdict.status is Status.FAIL
    assert "evaluation: 10 % of the pixels" in verdict.reason
