"""What an all-reduce brought back, held to the mean of what the ranks brought: rounding passes; who is off is named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rules.rank_agreement import RankRow, judge_ranks
from harness.rules.rank_gradients import BLOCKS, RankGradients, weigh_mean
from harness.values.verdict import Outcome

NAMES = ("conv.weight", "conv.bias", "head.weight")
SIZES = (432, 8, 96)
UNIT = 2.0**-24


def blocks(gradient):
    starts = np.arange(0, gradient.size, -(-gradient.size // BLOCKS))
    summed = np.zeros(BLOCKS)
    summed[: starts.size] = np.add.reduceat(gradient.astype(np.float64), starts)
    return summed


def brought(local, means):
    """Of one rank, from its gradients and what came back, both float32."""
    return RankGradients(
        norm=float(np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in local))),
        sums=np.stack([blocks(g) for g in local]),
        sizes=np.stack([blocks(np.abs(g)) for g in local]),
        means=np.stack([blocks(g) for g in means]) if means else np.zeros((0, BLOCKS)),
        units=np.full(len(local), UNIT),
        least=np.zeros(len(local)),
    )


def gradients(ranks, seed=0, scale=1.0):
    rng = np.random.default_rng(seed)
    return [[(scale * rng.standard_normal(size)).astype(np.float32) for size in SIZES] for _ in range(ranks)]


def reduced(local, order, change=lambda rank, parameter, gradient: gradient):
    """The mean as a library makes it in float32: each rank's part divided, then added in some order."""
    share = np.float32(1 / len(local))
    total = [np.zeros(size, np.float32) for size in SIZES]
    for rank in order:
        for parameter, gradient in enumerate(local[rank]):
            total[parameter] = total[parameter] + change(rank, parameter, gradient) * share
    return total


def weigh(local, change=lambda rank, parameter, gradient: gradient):
    means = reduced(local, range(len(local)), change)
    return weigh_mean([brought(each, means) for each in local], NAMES)


@given(st.integers(2, 9), st.integers(0, 2**32 - 1), st.integers(-30, 30))
def test_rounding_in_any_order_is_the_mean(ranks, seed, power):
    local = gradients(ranks, seed, 2.0**power)
    order = np.random.default_rng(seed).permutation(ranks)
    means = reduced(local, order)
    mean = weigh_mean([brought(each, means) for each in local], NAMES)
    assert mean.excess <= 1
    assert (mean.odd, mean.factors) == ((), ())


@given(
    st.integers(2, 9),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1.05, 1.0001, 0.0, -1.0, 2.0]),
    st.sampled_from([None, 0, 1, 2]),
)
def test_a_rank_that_brings_something_else_is_named_with_its_factor(ranks, seed, factor, only):
    odd = seed % ranks

    def change(rank, parameter, gradient):
        changes = rank == odd and only in {None, parameter}
        return gradient * np.float32(factor) if changes else gradient

    mean = weigh(gradients(ranks, seed), change)
    assert mean.excess > 1
    assert [rank for rank, found in enumerate(mean.factors) if abs(found - 1) > 1e-6] == [odd]
    assert mean.factors[odd] == pytest.approx(factor, abs=1e-4)
    assert mean.parameter in (NAMES if only is None else NAMES[only : only + 1])


def said(mean, norms=(1.0,) * 4):
    rows = [RankRow(5, (1.0,) * 4, tuple("abcd"), ("x",) * 4, norms, mean)]
    (finding,) = judge_ranks(rows)
    return finding


def test_the_sentence_names_the_rank_and_what_it_brought():
    finding = said(weigh(gradients(4), lambda rank, _, g: g * np.float32(1.05) if rank == 2 else g))
    assert (finding.status, finding.signal, finding.iteration) == (Outcome.FAIL, "gradients", 5)
    arrive = "arrive 1.05 times in the mean that came back from the all-reduce at iteration 5"
    assert finding.message == f"the gradients of rank 2 {arrive}"
    lost = said(weigh(gradients(4), lambda rank, _, g: g * 0 if rank == 3 else g))
    assert lost.message.startswith("the gradients of rank 3 don't arrive in the mean")


def test_gradients_that_are_summed_arrive_so_many_times():
    finding = said(weigh(gradients(4), lambda _, __, g: g * np.float32(4)))
    assert finding.message.startswith("the gradients of ranks 0, 1, 2, 3 arrive 4, 4, 4, 4 times in the mean")


def test_an_error_that_is_no_ranks_own_is_told_with_its_size():
    def halved(rank, parameter, gradient):
        return gradient.astype(np.float16).astype(np.float32)

    finding = said(weigh(gradients(4), halved))
    assert "isn't the mean of the ranks' gradients" in finding.message
    assert "beyond rounding" in finding.message
    assert abs(finding.observed) < 1e-3


def test_a_rank_that_got_another_mean_is_named():
    local = gradients(4)
    means = reduced(local, range(4))
    other = [mean * np.float32(1 + 2**-20) for mean in means]
    mean = weigh_mean([brought(each, other if rank == 1 else means) for rank, each in enumerate(local)], NAMES)
    assert mean.odd == (1,)
    assert said(mean).message.startswith("rank 1 got another mean of the gradients than the other ranks back")
    own = weigh_mean([brought(each, each) for each in local], NAMES)
    assert own.odd == (0, 1, 2, 3)
    assert said(own).message.startswith("ranks 0, 1, 2, 3 got each another mean of the gradients back")


def test_gradients_that_are_not_finite_on_one_rank_are_that_ranks():
    local = gradients(4)
    local[2][0] = np.full(SIZES[0], np.nan, np.float32)
    mean = weigh(local)
    assert said(mean, (1.0, 1.0, float("nan"), 1.0)).message == (
        "the gradients of rank 2 aren't finite before the all-reduce at iteration 5, where the others' are"
    )


def test_where_nothing_was_reduced_nothing_is_weighed():
    assert weigh_mean([brought(each, []) for each in gradients(2)], NAMES) is None


def test_a_healthy_mean_passes_and_is_told():
    finding = said(weigh(gradients(4)))
    assert finding.status is Outcome.PASS
    assert finding.message.endswith("their gradients' mean is what came back from the all-reduce at 1")
    assert said(None).status is Outcome.PASS


def test_ranks_of_equal_batches_can_not_be_told_apart():
    one = gradients(1)[0]
    mean = weigh([one] * 3, lambda rank, _, g: g * np.float32(1.05) if rank == 1 else g)
    assert mean.excess > 1
    assert mean.factors == ()
