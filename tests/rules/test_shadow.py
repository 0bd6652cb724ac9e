"""The shadow rule: what a healthy kernel may have of each operation, and what a violation says."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.shadow.evidence.checks import Coverage, Part, ShadowCheck, ShadowRecord
from harness.shadow.judging.error_model import SHADOW_TIERS, rounding, unit_roundoff
from harness.shadow.judging.operations import allow, foremost, judge_shadow, weigh_shadow
from harness.shadow.judging.shadow_verdict import LEAST_COVERAGE, judge_alone, require_shadow, with_shadow
from harness.values.verdict import Outcome, Status, Verdict
from tests.healthy_runs import make_trace


def check(**changes):
    made = ShadowCheck(
        iteration=0,
        part=Part.BACKWARD,
        module="backbone.layer3.0.conv2",
        op="convolution_backward",
        tensor="weight gradient",
        call=7,
        dtype="float32",
        shape=(64, 64, 3, 3),
        contiguous=True,
        error=3e-7,
        projection=1e-9,
        terms=4096.0,
        spread=20_000.0,
    )
    return dataclasses.replace(made, **changes)


def stored(bits, **changes):
    """A check of the format of a result that is stored with so many mantissa bits."""
    return check(part=Part.PRECISION, error=unit_roundoff(bits), projection=0.0, **changes)


def evidence(*checks, tier="fp32", calls=10, checked=10):
    coverage = Coverage({"convolution": calls}, {"convolution": checked}, {})
    return weigh_shadow(ShadowRecord((0, 1), checks, coverage), tier)


def statuses(*checks, tier="fp32"):
    return {finding.status for finding in judge_shadow(evidence(*checks, tier=tier))}


class TestRule:
    def test_a_healthy_kernel_passes_and_says_what_it_would_have_seen(self):
        (finding,) = judge_shadow(evidence(check()))
        assert finding.status is Outcome.PASS
        assert 0 < finding.smallest_detectable < 1e-5

    def test_a_factor_fails_and_names_module_operation_and_tensor(self):
        (finding,) = judge_shadow(evidence(check(error=1e-2, projection=1e-2)))
        assert finding.status is Outcome.FAIL
        assert finding.message.startswith(
            "backbone.layer3.0.conv2, convolution_backward, weight gradient: 1 % too large"
        )
        assert finding.observed == 1e-2
        assert finding.allowed < 1e-4

    def test_noise_without_a_factor_fails_by_its_norm(self):
        (finding,) = judge_shadow(evidence(check(error=1e-2, projection=0.0)))
        assert "off by 1 % in norm" in finding.message

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_what_is_not_a_number_fails(self, bad):
        assert statuses(check(error=bad)) == {Outcome.FAIL}

    def test_a_projection_that_is_not_a_number_fails(self):
        assert statuses(check(projection=math.nan)) == {Outcome.FAIL}

    def test_nothing_checked_is_inconclusive(self):
        (finding,) = judge_shadow(weigh_shadow(ShadowRecord((), (), Coverage()), "fp32"))
        assert finding.status is Outcome.INCONCLUSIVE

    def test_the_tier_decides_what_a_convolution_may_round(self):
        tf32 = check(error=3e-4, projection=5e-6)
        assert statuses(tf32, tier="fp32") == {Outcome.FAIL}
        assert statuses(tf32, tier="tf32") == {Outcome.PASS}

    def test_the_tier_does_not_loosen_other_operations(self):
        assert statuses(check(op="native_batch_norm", error=3e-4), tier="bf16") == {Outcome.FAIL}

    def test_sdaas_default_rounds_convolution_and_not_matmul(self):
        assert statuses(check(error=3e-4, projection=5e-6), tier="sdaa") == {Outcome.PASS}
        assert statuses(check(op="bmm", error=3e-4), tier="sdaa") == {Outcome.FAIL}

    def test_what_cancels_is_judged_by_what_a_rounding_moves(self):
        behind_a_norm = check(tensor="bias gradient", error=0.9, projection=-0.05, scale=1e7, along=1e5)
        assert statuses(behind_a_norm) == {Outcome.PASS}
        assert statuses(dataclasses.replace(behind_a_norm, error=9000.0)) == {Outcome.FAIL}

    def test_a_move_may_not_change_a_bit(self):
        assert statuses(check(part=Part.TRANSFER, op="copy_", error=0.0, projection=0.0)) == {Outcome.PASS}
        assert statuses(check(part=Part.TRANSFER, op="copy_", error=1e-9)) == {Outcome.FAIL}

    def test_whole_numbers_may_not_differ(self):
        assert statuses(check(dtype="int64", error=1e-9)) == {Outcome.FAIL}

    def test_draws_are_judged_by_their_spread(self):
        draw = check(part=Part.RANDOM, op="bernoulli_", tensor="distribution", spread=10_000.0, projection=0.0)
        assert statuses(dataclasses.replace(draw, error=0.04)) == {Outcome.PASS}
        assert statuses(dataclasses.replace(draw, error=0.10)) == {Outcome.FAIL}
        assert statuses(dataclasses.replace(draw, tensor="stream", error=math.inf)) == {Outcome.FAIL}

    @pytest.mark.parametrize(
        ("bits", "tier", "outcome"),
        [
            (7, "tf32", Outcome.FAIL), (9, "tf32", Outcome.FAIL), (10, "tf32", Outcome.PASS),
            (7, "fp16", Outcome.FAIL), (10, "fp16", Outcome.PASS), (7, "bf16", Outcome.PASS),
            (7, "sdaa", Outcome.FAIL), (10, "sdaa", Outcome.PASS),
            (10, "fp32", Outcome.FAIL), (23, "fp32", Outcome.PASS),
        ],
    )  # fmt: skip
    def test_a_result_is_stored_with_the_bits_that_the_tier_keeps(self, bits, tier, outcome):
        assert statuses(stored(bits), tier=tier) == {outcome}

    def test_a_format_that_is_too_narrow_is_told_in_bits(self):
        (finding,) = judge_shadow(evidence(stored(7), tier="tf32"))
        assert "weight gradient: stored with 7 mantissa bits (at least 10 demanded) at iteration 0" in finding.message

    def test_last_bits_that_a_sum_never_reaches_need_not_be_stored(self):
        """Of 2²⁰ terms, or of some that cancel to a millionth, float32 has few bits left."""
        assert statuses(stored(7, op="sum", terms=1.0), tier="tf32") == {Outcome.FAIL}
        assert statuses(stored(12, op="sum", terms=2.0**20)) == {Outcome.PASS}
        assert statuses(stored(11, op="sum", terms=2.0**20)) == {Outcome.FAIL}
        assert statuses(stored(3, op="sum", terms=1.0, scale=2.0**19)) == {Outcome.PASS}
        assert statuses(stored(0, op="sum", scale=math.inf)) == {Outcome.PASS}

    def test_below_the_range_of_half_precision_bits_are_lost_by_themselves(self):
        assert statuses(stored(3, terms=1.0, scale=2.0**6), tier="sdaa") == {Outcome.PASS}
        assert statuses(stored(2, terms=1.0, scale=2.0**6), tier="sdaa") == {Outcome.FAIL}
        assert statuses(stored(4, terms=1.0, scale=2.0**6), tier="tf32") == {Outcome.FAIL}

    def test_operands_of_a_narrow_dtype_ask_for_no_more(self):
        assert statuses(stored(7, operand=7), tier="tf32") == {Outcome.PASS}

    @given(st.integers(0, 23), st.floats(0, 300), st.floats(1, 1e12), st.sampled_from(sorted(SHADOW_TIERS)))
    def test_what_has_to_be_stored_never_exceeds_the_tier_nor_grows_with_what_cancels(self, bits, cancels, terms, tier):
        plain = allow(stored(bits, terms=terms), tier)
        cancelled = allow(stored(bits, terms=terms, scale=2.0**cancels), tier)
        assert unit_roundoff(23) <= plain.error <= cancelled.error <= 0.5

    def test_one_finding_stands_for_all_modules_of_an_operation(self):
        wrong = [check(module=f"layer{i}", error=0.5, projection=0.5) for i in range(9)]
        (finding,) = judge_shadow(evidence(*wrong))
        assert "likewise in 8 further modules" in finding.message

    def test_the_first_iteration_is_told(self):
        late = [check(iteration=i, error=e, projection=e) for i, e in ((0, 0.0), (1, 0.1), (10, 0.9))]
        (row,) = evidence(*late).rows
        assert (row.iteration, row.calls) == (1, 3)

    def test_the_first_finding_is_of_the_violation_that_is_furthest_past_its_bound(self):
        """Also where a finding's sentence is of the measure that is less far past its own."""
        slight = check(tensor="input gradient", error=1e-3, projection=0.1)
        grave = check(tensor="weight gradient", error=1e3, projection=1e-3)
        found = evidence(slight, grave)
        assert foremost(found.violations).tensor == "weight gradient"
        assert judge_shadow(found)[0].signal.endswith("weight_gradient")

    @given(st.floats(1, 1e6), st.floats(1, 1e8), st.sampled_from(sorted(SHADOW_TIERS)))
    def test_bounds_are_positive_and_grow_with_the_terms(self, terms, spread, tier):
        bound = allow(check(terms=terms, spread=spread), tier)
        more = allow(check(terms=4 * terms, spread=spread), tier)
        assert bound.projection > 0
        assert 0 < bound.error <= more.error < math.inf

    @given(st.sampled_from(["convolution", "bmm", "add", "native_batch_norm"]), st.floats(1, 1e6))
    def test_a_looser_tier_never_allows_less(self, op, terms):
        allowed = [rounding(op, "float32", 23, terms, tier) for tier in ("fp32", "tf32", "fp16", "bf16")]
        assert allowed == sorted(allowed)


class TestPrecision:
    def bits(self, error, tier="tf32", **changes):
        (found,) = evidence(check(op="convolution", part=Part.FORWARD, error=error, **changes), tier=tier).precisions
        return found

    def test_ten_bits_are_read_off_their_rounding(self):
        found = self.bits(0.6 * 2**-11)
        assert found.family == "convolution forward"
        assert found.bits == pytest.approx(10, abs=0.1)
        assert found.expected == 10

    def test_no_more_bits_than_float32_has(self):
        assert self.bits(1e-9, tier="fp32").bits == 23

    def test_what_cancels_does_not_count(self):
        assert evidence(check(error=0.5, scale=1e6)).precisions == ()


class TestVerdict:
    passed = Verdict("case", Status.PASS, "aligned at tf32", aligned_tier="tf32")
    wrong = check(error=1e-2, projection=1e-2)

    def test_a_violation_fails_a_case_that_passed(self):
        verdict = with_shadow(self.passed, evidence(self.wrong))
        assert verdict.status is Status.FAIL
        assert verdict.reason.startswith("shadow: backbone.layer3.0.conv2")
        assert verdict.aligned_tier == ""

    def test_a_violation_fails_a_comparison_that_decided_nothing(self):
        verdict = with_shadow(Verdict("case", Status.INCONCLUSIVE, "another seed"), evidence(self.wrong))
        assert verdict.status is Status.FAIL
        assert verdict.reason.endswith("another seed")

    def test_an_error_stays_one(self):
        assert with_shadow(Verdict("case", Status.ERROR, "crashed"), evidence(self.wrong)).status is Status.ERROR

    @pytest.mark.parametrize("status", list(Status))
    def test_healthy_operations_change_no_verdict(self, status):
        verdict = with_shadow(Verdict("case", status, "because"), evidence(check()))
        assert (verdict.status, verdict.reason) == (status, "because")
        assert verdict.shadow is not None

    def test_alone_they_pass_a_healthy_run(self):
        verdict = judge_alone("case", make_trace(1), evidence(check()))
        assert verdict.status is Status.PASS
        assert verdict.aligned_tier == "fp32"

    def test_alone_they_fail_a_wrong_one(self):
        assert judge_alone("case", make_trace(1), evidence(self.wrong)).status is Status.FAIL

    def test_alone_they_do_not_pass_what_they_could_not_check(self):
        verdict = judge_alone("case", make_trace(1), evidence(check(), checked=9))
        assert verdict.status is Status.INCONCLUSIVE
        assert "90%" in verdict.reason

    def test_alone_they_do_not_pass_an_optimizer_that_they_could_not_check(self):
        found = evidence(check(), checked=1000, calls=1000)
        coverage = dataclasses.replace(found.coverage, programs={"ASGD": 1}, skipped={"ASGD": "no float64 update"})
        assert coverage.rate > LEAST_COVERAGE
        verdict = judge_alone("case", make_trace(1), dataclasses.replace(found, coverage=coverage))
        assert verdict.status is Status.INCONCLUSIVE
        assert "ASGD (no float64 update)" in verdict.reason

    def test_alone_a_run_cut_short_is_an_error(self):
        assert judge_alone("case", make_trace(1, complete=False), evidence(check())).status is Status.ERROR

    @pytest.mark.parametrize(("ordered", "status"), [((0, 1), Status.PASS), ((0, 1, 10), Status.INCONCLUSIVE)])
    def test_a_run_that_left_too_few_checks_does_not_pass(self, ordered, status):
        assert require_shadow(with_shadow(self.passed, evidence(check())), ordered).status is status

    def test_a_run_that_left_none_does_not_pass(self):
        verdict = require_shadow(self.passed, (0, 29))
        assert verdict.status is Status.INCONCLUSIVE
        assert "0, 29" in verdict.reason

    def test_a_process_that_left_none_is_missed(self):
        verdict = with_shadow(self.passed, evidence(check()))
        assert require_shadow(verdict, (0, 1), [(0, 1), (0, 1)]).status is Status.PASS
        missed = require_shadow(verdict, (0, 1), [(0, 1), (), (0,)])
        assert missed.status is Status.INCONCLUSIVE
        assert missed.reason == (
            "process 1 of 3 left no shadow checks of iteration 0, 1; process 2 of 3 left no shadow checks of "
            "iteration 1, which were ordered"
        )

    def test_a_run_of_which_nothing_was_checked_does_not_pass(self):
        verdict = with_shadow(self.passed, dataclasses.replace(evidence(), iterations=(0, 1)))
        assert verdict.status is Status.INCONCLUSIVE
        assert verdict.reason == "no iteration was shadowed"

    def test_a_failure_stays_one_whatever_is_missing(self):
        failed = Verdict("case", Status.FAIL, "stopped early")
        assert require_shadow(failed, (0, 29)) is failed
