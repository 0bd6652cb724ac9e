"""Copies are no repeats: a baseline that holds some is refused, with the reason and what to do."""

import numpy as np
import pytest

from harness.values.errors import BaselineError
from tests.healthy_runs import make_baseline, make_trace, with_signal


def runs(seeds):
    """Healthy runs; clock times differ also between copies."""
    return tuple(with_signal(make_trace(seed), "seconds", np.full(30, 0.5 + at)) for at, seed in enumerate(seeds))


@pytest.mark.parametrize(
    ("seeds", "named"),
    [
        ((0,) * 8, "runs 0 and 1"),
        ((0, 1, 2, 3, 4, 5, 6, 2), "runs 2 and 7"),
        ((0, 1, 1, 2, 3), "runs 1 and 2"),
    ],
)
def test_copies_are_refused(seeds, named):
    with pytest.raises(BaselineError, match="copies of each other") as caught:
        make_baseline(tiers={"fp32": runs(seeds)})
    assert f"{named} are equal in every signal at 30 of 30 iterations" in caught.value.observed
    assert caught.value.hint == 'align record made_up --device cpu --reason "the runs were copies"'


@pytest.mark.parametrize(("shared", "refused"), [(16, True), (15, False), (1, False)])
def test_runs_that_part_late_are_one_run_and_its_continuation(shared, refused):
    first, second, *others = runs(range(6))
    for name, values in first.signals.items():
        joined = np.append(values[:shared], second.signals[name][shared:])
        second = with_signal(second, name, joined)
    tiers = {"fp32": (first, second, *others)}
    if not refused:
        assert make_baseline(tiers=tiers).iterations == 30
        return
    with pytest.raises(BaselineError, match="copies of each other") as caught:
        make_baseline(tiers=tiers)
    assert "at 16 of 30 iterations" in caught.value.observed


def test_a_signal_that_healthy_runs_share_is_no_copy():
    """The loss alone may come out equal where the rounding that differs is far below what it sums."""
    one_loss = make_trace(0).loss
    tiers = {"fp32": tuple(with_signal(run, "loss", one_loss) for run in runs(range(5)))}
    assert make_baseline(tiers=tiers).iterations == 30
