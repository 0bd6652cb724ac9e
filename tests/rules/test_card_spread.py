"""Cards held to each other: the odd one is named, healthy ones are not, and what can't be said isn't."""

import dataclasses

import numpy as np
import pytest

from harness.rules.card_spread import first_difference, judge_cards
from harness.values.errors import UsageError
from tests.healthy_runs import make_trace, with_signal


def cards(count=4, noise=1e-5, seed=0, repeats=1, iterations=12):
    """As many healthy cards: rounding of their own, or bit-equal where there is no noise."""
    return {
        str(card): [make_trace(1000 * seed + 10 * card + again, noise, iterations) for again in range(repeats)]
        for card in range(count)
    }


def scaled(trace, name, factor):
    return with_signal(trace, name, trace.signals[name] * factor)


def test_bit_equal_cards_are_alike():
    spread = judge_cards("made_up", cards(noise=0.0, repeats=2))
    assert spread.odd == ()
    assert spread.same_bits
    assert [row.repeats_itself for row in spread.rows] == [True] * 4


def test_of_bit_equal_cards_one_with_another_bit_is_named():
    runs = cards(noise=0.0)
    values = runs["2"][0].signals["update_norm"].copy()
    values[7] = np.nextafter(values[7], 9)
    runs["2"] = [with_signal(runs["2"][0], "update_norm", values)]
    (odd,) = judge_cards("made_up", runs).odd
    assert odd.card == "2"
    assert "first in update_norm at iteration 7" in odd.reasons[0]


def test_a_card_that_does_not_repeat_its_own_bits_is_named_where_the_others_do():
    runs = cards(noise=0.0, repeats=3)
    runs["1"][2] = scaled(runs["1"][2], "grad_norm", 1 + 1e-7)
    (odd,) = judge_cards("made_up", runs).odd
    assert (odd.card, odd.repeats_itself, odd.where_not) == ("1", False, "grad_norm at iteration 0")


def test_cards_none_of_which_repeats_its_bits_are_told_and_not_called():
    spread = judge_cards("made_up", cards(repeats=2))
    assert [row.repeats_itself for row in spread.rows] == [False] * 4
    assert spread.odd == ()


@pytest.mark.parametrize(("count", "factor"), [(4, 1.02), (8, 1.001)])
def test_a_noisy_card_that_is_far_off_is_named_with_its_signal(count, factor):
    runs = cards(count)
    runs["3"] = [scaled(runs["3"][0], "grad_norm", factor)]
    (odd,) = judge_cards("made_up", runs).odd
    assert odd.card == "3"
    assert any(reason.startswith("grad_norm at iteration 0") for reason in odd.reasons)
    assert abs(odd.deviation) > odd.allowed


@pytest.mark.parametrize("count", [4, 8])
def test_a_round_of_healthy_cards_has_a_called_one_as_rarely_as_is_said(count):
    """At a rate of 0.2, of 60 rounds 24 are called with a chance below 2e-4 where the rate holds."""
    rounds = [judge_cards("made_up", cards(count, seed=seed, iterations=3), 0.2) for seed in range(60)]
    assert sum(bool(spread.odd) for spread in rounds) < 24


@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_nan_on_one_card_is_named(noise):
    runs = cards(noise=noise)
    values = runs["0"][0].signals["loss"].copy()
    values[4] = np.nan
    runs["0"] = [with_signal(runs["0"][0], "loss", values)]
    spread = judge_cards("made_up", runs)
    assert [row.card for row in spread.odd] == ["0"]
    assert any("loss isn't finite" in reason for reason in spread.odd[0].reasons)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_too_few_cards_decide_nothing(left):
    runs = cards(noise=0.0)
    runs = {card: traces if int(card) < left else [] for card, traces in runs.items()}
    spread = judge_cards("made_up", runs)
    assert spread.odd == ()
    assert spread.undecided.startswith(f"{left} card")
    assert [row.runs for row in spread.rows] == [1] * left + [0] * (4 - left)


def test_runs_of_other_lengths_and_batches_differ():
    one = make_trace(iterations=12)
    assert first_difference(one, make_trace(iterations=11)) == "12 iterations and 11"
    other = dataclasses.replace(one, batches=(*one.batches[:5], "ff" * 16, *one.batches[6:]))
    assert first_difference(one, other) == "the batch of iteration 5"
    costly = with_signal(one, "seconds", one.signals["seconds"] * 2)
    assert first_difference(one, costly) == ""


def test_a_rate_that_is_no_chance_is_refused():
    with pytest.raises(UsageError, match="a chance"):
        judge_cards("made_up", cards(), 0.0)
