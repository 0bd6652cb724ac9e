"""Two bare logs, judged: by simulated pairs whose truth is known."""

import numpy as np
import pytest

from harness.pairs.deviation import measure_deviation
from harness.pairs.joining import Series, cut_slice, join
from harness.pairs.printing import printed_unit
from harness.rules.dependence import Data, measure_dependence
from harness.values.errors import LogError, UsageError
from harness.values.verdict import Outcome, Status
from tests.compare.two_logs import N, english_of, judge, log, losses


def message_of(verdict, rule):
    return next(finding.message for finding in verdict.findings if finding.rule == rule)


def test_a_sentence_without_its_chinese_is_found():
    assert english_of(["both losses are finite at all 7 common iterations", "the moon is made of cheese"]) == [
        "the moon is made of cheese"
    ]


def test_other_data_are_not_comparable():
    verdict = judge(log(losses(0)), log(losses(1, 1)))
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.reason.startswith("other data or order: ")
    assert not verdict.violations


def test_one_healthy_pair_does_not_pass_and_says_what_is_missing():
    verdict = judge(log(losses(0)), log(losses(0, 1)))
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.reason.startswith("aligned as far as this can show: within ")
    assert "--repeat" in message_of(verdict, "next step")


@pytest.mark.parametrize("offset", [-0.1, 0.1])
def test_a_bias_either_way_fails(offset):
    ramp = offset * np.minimum(np.arange(N) / 5, 1)
    verdict = judge(log(losses(0)), log(losses(0, 1, offset=ramp)))
    assert verdict.status is Status.FAIL
    assert verdict.reason.startswith("drifts from iteration")
    assert {violation.rule for violation in verdict.violations} == {"drifts", "bias"}
    drift, bias = sorted(verdict.violations, key=lambda violation: violation.rule != "drifts")
    assert ("+" if offset > 0 else "−") in drift.message
    assert drift.observed is None, "a mean of many iterations is not the deviation of the one that it begins at"
    assert np.sign(bias.observed) == np.sign(offset)


def test_agreement_to_the_last_digit_passes():
    near = losses(0) + 1e-6 * np.random.default_rng(0).integers(-1, 2, N)
    assert judge(log(losses(0)), log(np.round(near, 6))).status is Status.PASS


def test_equal_values_pass_where_something_says_that_there_were_two_runs():
    assert judge(log(losses(0)), log(losses(0))).reason.startswith("same run: ")
    clocks = ("2025-07-01 12:00:00", "2025-07-02 12:00:00")
    assert judge(*(log(losses(0), clock=clock) for clock in clocks)).status is Status.PASS
    devices = ("cuda", "sdaa")
    assert judge(*(log(losses(0), settings={"device": name}) for name in devices)).status is Status.PASS


@pytest.mark.parametrize(
    ("why", "reference", "candidate", "status"),
    [
        ("copied", {}, {"copied": True}, Status.INCONCLUSIVE),
        ("coarse digits", {"values": losses(0, digits=1)}, {"values": losses(0, digits=1)}, Status.INCONCLUSIVE),
        ("smoothed", {"window": 10}, {}, Status.INCONCLUSIVE),
        ("numbered by position", {"numbered": False}, {}, Status.INCONCLUSIVE),
        ("cut short", {}, {"values": losses(0)[:60]}, Status.INCONCLUSIVE),
        ("constant", {"values": np.full(N, 4.0)}, {"values": np.full(N, 4.0)}, Status.INCONCLUSIVE),
        ("all zero", {"values": np.zeros(N)}, {"values": np.zeros(N)}, Status.INCONCLUSIVE),
        ("candidate all zero", {}, {"values": np.zeros(N)}, Status.FAIL),
        ("too short", {"values": losses(0)[:5]}, {"values": losses(0)[:5]}, Status.INCONCLUSIVE),
        ("one iteration", {"values": losses(0)[:1]}, {"values": losses(0)[:1]}, Status.INCONCLUSIVE),
        ("no iteration in common", {}, {"iterations": np.arange(N) + 500}, Status.INCONCLUSIVE),
        ("seeds", {"settings": {"seed": "1"}}, {"settings": {"seed": "2"}}, Status.INCONCLUSIVE),
        ("NaN", {}, {"values": np.where(np.arange(N) == 7, np.nan, losses(0))}, Status.FAIL),
        ("inf", {}, {"values": np.where(np.arange(N) == 7, -np.inf, losses(0))}, Status.FAIL),
        ("only NaN", {}, {"values": np.full(N, np.nan)}, Status.FAIL),
        ("NaN on the reference's side", {"values": np.full(N, np.nan)}, {}, Status.INCONCLUSIVE),
    ],
)
def test_what_does_not_pass(why, reference, candidate, status):
    copied = candidate.pop("copied", False)
    sides = [log(**{"values": losses(0), **side}) for side in (reference, candidate)]
    verdict = judge(*sides, copied=copied)
    assert verdict.status is status, why
    assert verdict.reason
    assert verdict.legacy is not None or why == "no iteration in common"


def test_repeats_make_an_envelope():
    reference = log(losses(0, 0))
    repeats = [log(losses(0, own)) for own in range(1, 8)]
    healthy = judge(reference, log(losses(0, 99)), repeats)
    assert healthy.status is Status.PASS
    assert healthy.envelopes["loss"].allowed.min() < 5e-3
    faulty = judge(reference, log(losses(0, 99, offset=np.where(np.arange(N) == 3, 0.01, 0.0))), repeats)
    assert faulty.status is Status.FAIL
    assert faulty.violations[0].iteration == 3
    few = judge(reference, log(losses(0, 99)), repeats[:2])
    assert few.status is Status.INCONCLUSIVE
    assert "too few" in few.reason
    copies = judge(reference, log(losses(0, 99)), [*repeats[:6], repeats[0]])
    assert copies.reason == "repeats are copies: repeat 7 (x) holds the values of repeat 1 (x)"
    assert judge(reference, repeats[0], repeats).status is Status.INCONCLUSIVE
    assert judge(reference, log(losses(0, 99)), [reference, *repeats]).status is Status.INCONCLUSIVE
    short = judge(reference, log(losses(0, 99)[:60]), repeats)
    assert short.status is Status.INCONCLUSIVE


def test_a_deviation_that_lasts_fails_within_repeats_that_scatter():
    """A loss 30 % too high from iteration 40 on hides in repeats that scatter by 5 %, but for its mean."""
    reference = log(losses(0, 0, own_noise=0.05))
    repeats = [log(losses(0, own, own_noise=0.05)) for own in range(1, 8)]
    healthy = judge(reference, log(losses(0, 99, own_noise=0.05)), repeats)
    assert healthy.reason.startswith("the repeats are too wide: only a lasting deviation above ")
    lasting = log(losses(0, 99, own_noise=0.05, offset=np.where(np.arange(N) >= 40, 0.2, 0.0)))
    assert judge(reference, lasting, repeats).status is Status.FAIL


def test_another_devices_rounding_and_a_printed_digit_are_no_failure():
    reference = log(losses(0, 0, digits=2))
    repeats = [log(np.round(losses(0, 0) + 1e-5 * np.arange(N) * own, 2)) for own in range(1, 8)]
    near = np.round(losses(0, 0), 2)
    near[0] += 0.01
    assert judge(reference, log(near), repeats).status is not Status.FAIL
    fine = [log(losses(0, 0) * (1 + 1e-8 * own)) for own in range(8)]
    other_device = losses(0, 0) * (1 + 2e-4 * np.random.default_rng(0).standard_normal(N))
    assert judge(fine[0], log(other_device), fine[1:]).status is not Status.FAIL


def test_repeats_of_other_data_let_the_candidate_have_others_too():
    reference = log(losses(0, 0), settings={"seed": "0"})
    repeats = [log(losses(data, data), settings={"seed": str(data)}) for data in range(1, 8)]
    drawn = judge(reference, log(losses(99, 99), settings={"seed": "99"}), repeats)
    assert drawn.status is Status.INCONCLUSIVE
    assert drawn.reason.startswith("the repeats are too wide: ")
    assert judge(reference, log(losses(99, 99, offset=2.0)), repeats).status is Status.FAIL


def test_a_shift_by_one_is_recognised():
    shifted = log(losses(0, 1), iterations=np.arange(1, N + 1))
    reason = judge(log(losses(0)), shifted).reason
    assert reason == "offset in numbering: the candidate's iterations fit once they are moved by -1"


def test_a_common_trend_is_no_common_data():
    trend = np.exp(-np.arange(N) / 20)
    sides = [4 * trend * np.exp(0.002 * np.random.default_rng(seed).standard_normal(N)) for seed in (0, 1)]
    assert measure_dependence(*sides).data is not Data.SAME


def test_one_spike_does_not_decide():
    one, other = losses(0), losses(1, 1)
    one[50] = other[50] = 400.0
    assert measure_dependence(one, other).data is Data.OTHER
    one, other = losses(0), losses(0, 1)
    other[50] = 400.0
    assert measure_dependence(one, other).data is Data.SAME


def test_joining_shows_what_only_one_side_has():
    pair = join(Series(np.array([0, 1, 2, 5]), np.arange(4.0)), Series(np.array([1, 2, 3]), np.arange(3.0)))
    assert pair.iterations.tolist() == [1, 2]
    assert pair.reference.tolist() == [1.0, 2.0]
    assert pair.candidate.tolist() == [0.0, 1.0]
    assert pair.only_reference.tolist() == [0, 5]
    assert pair.only_candidate.tolist() == [3]
    with pytest.raises(LogError):
        Series(np.array([0, 0]), np.zeros(2))
    with pytest.raises(UsageError):
        cut_slice(pair, "last10")


@pytest.mark.parametrize(
    ("values", "unit"), [([1.25, 2.0], 0.01), ([3.0, 4.0], 1.0), ([1 / 3], np.nan), ([1e-4], 1e-4)]
)
def test_the_printed_unit(values, unit):
    np.testing.assert_allclose(printed_unit(np.array(values)), unit)


def test_the_smallest_detectable_bias_is_detected_nine_times_in_ten():
    """And the 95 % interval of the bias holds the truth: measured over simulated pairs."""
    rng = np.random.default_rng(5)
    covered, seen, pairs = 0, 0, 200
    for _ in range(pairs):
        noise = 0.01 * rng.standard_normal(N)
        detectable = measure_deviation(np.ones(N), np.exp(noise)).detectable
        biased = measure_deviation(np.ones(N), np.exp(noise + np.log1p(detectable)))
        covered += biased.bias_low <= detectable <= biased.bias_high
        seen += biased.bias_low > 0
    assert covered >= 0.85 * pairs
    assert seen >= 0.8 * pairs


def test_ranks_and_decisions_are_findings():
    ranks = {rank: Series(np.arange(N), losses(rank, rank)) for rank in range(4)}
    verdict = judge(log(losses(0), ranks=ranks, decisions=("smoothed",)), log(losses(0, 1)))
    messages = [finding.message for finding in verdict.findings]
    assert "reference: smoothed" in messages
    assert any("4 ranks differ by" in message for message in messages)
    assert all(finding.status is not Outcome.FAIL for finding in verdict.findings)


def test_deviations_of_a_loss_that_is_somewhere_not_positive_are_no_logarithms():
    """Twice the mean size too high is 200 %, and not what a logarithm of 2 would be."""
    reference = np.where(np.arange(N) % 2 == 0, 1.0, -1.0)
    measured = measure_deviation(reference, reference + 2)
    assert (measured.bias, measured.largest) == (2.0, 2.0)
    low = measure_deviation(reference, reference - 0.0512)
    np.testing.assert_allclose(low.bias, -0.0512, atol=1e-12)
    assert judge(log(reference), log(reference + 2)).envelopes["loss"].deviation[0] == 2.0
