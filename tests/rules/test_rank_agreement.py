"""Ranks of one run: equal weights, batches of their own; the one that differs is named."""

import dataclasses

import pytest

from harness.rules.rank_agreement import RankRow, judge_ranks
from harness.values.verdict import Outcome

HEALTHY = tuple(
    RankRow(n, (1.0, 2.0, 3.0, 4.0), tuple(f"{n}{rank}" for rank in range(4)), ("ab",) * 4 if n != 3 else ())
    for n in range(5)
)


def at(number, **changes):
    return [dataclasses.replace(row, **changes) if row.iteration == number else row for row in HEALTHY]


def test_healthy_ranks_pass():
    (finding,) = judge_ranks(HEALTHY)
    assert finding.status is Outcome.PASS
    assert "4 ranks hold the same parameters to the bit at 4 iterations" in finding.message


def test_one_process_has_no_ranks():
    assert judge_ranks(()) == []


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (("ab", "ab", "cd", "ab"), "rank 2 holds other parameters than the other ranks after iteration 2"),
        (("ab", "ef", "cd", "ab"), "ranks 0, 1, 2, 3 hold different parameters after iteration 2"),
        (("ab", "ab", "cd", "cd"), "ranks 0, 1, 2, 3 hold different parameters after iteration 2"),
    ],
)
def test_a_rank_that_holds_other_parameters_is_named_where_most_agree(held, said):
    (finding,) = judge_ranks(at(2, parameters=held))
    assert (finding.status, finding.signal, finding.iteration) == (Outcome.FAIL, "parameters", 2)
    assert finding.message == said


def test_two_ranks_of_the_same_batches_are_named_and_one_equal_batch_is_chance():
    rows = [dataclasses.replace(row, batches=("a", "b", "c", "a")) for row in HEALTHY]
    (finding,) = judge_ranks(rows)
    assert finding.message == "rank 3 trains on rank 0's batches, at every iteration"
    assert judge_ranks(at(1, batches=("a", "b", "c", "a")))[0].status is Outcome.PASS


def test_a_rank_whose_loss_is_not_finite_is_named():
    (finding,) = judge_ranks(at(4, losses=(1.0, float("nan"), 3.0, 4.0)))
    assert (finding.signal, finding.iteration) == ("loss", 4)
    assert finding.message.startswith("the loss of rank 1 isn't finite at iteration 4")


def test_a_loss_that_is_finite_nowhere_is_no_ranks():
    assert judge_ranks(at(4, losses=(float("nan"),) * 4))[0].status is Outcome.PASS
