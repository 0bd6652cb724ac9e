"""Whether one of several cards of a kind trains otherwise than the others do, and whether each repeats its own bits.

The same case is run on every card, so the values of healthy cards differ by their rounding alone, or not at all. Two
tests, each against the other cards, never against a number picked by hand:

**To the bit.** Where all other cards left the same bits in every signal of every iteration, the device computes the
same twice, and a card with other bits is not like them.

**By their spread.** Each card's value is held to those of the K − 1 others: the externally studentized residual
t = (x − mean of the others) / (s · √(1 + 1/(K − 1))) has Student's distribution with K − 2 degrees of freedom where the
K logarithms are normal (Cook and Weisberg, Residuals and Influence in Regression, 1982, section 2.2.2). Its chance is
multiplied by the number of cards and of looks (Bonferroni), so the rate is that of any card's being called in a whole
round. A look is a signal at its first iteration, where no chaos has grown, or its mean over all later ones. A spread
below float32's own resolution is taken to be that: values on a grid may agree by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.rules.budget import require_rate
from harness.values.trace import FloatArray, Trace

__all__ = ["FALSE_ALARM_RATE", "LOOKED_AT", "MINIMUM_CARDS", "CardRow", "CardSpread", "first_difference", "judge_cards"]

FALSE_ALARM_RATE = 0.001
"""Chance that a round of healthy cards has one that is called."""

MINIMUM_CARDS = 3
"""With two cards nobody can say which of them is off."""

LOOKED_AT = ("loss", "grad_norm", "update_norm", "param_norm", "bn_mean_norm", "bn_var_norm")
"""Signals that are continuous: an accuracy takes few values, of which many agree by chance."""

_RESOLUTION = 2.0**-24
"""Relative: half a last place of float32."""

_COSTS = frozenset({"seconds", "memory"})


@dataclass(frozen=True)
class CardRow:
    """What is said of one card.

    Args:
        card: its name.
        runs: how many whole runs it has.
        repeats_itself: whether its runs have the same bits; None with fewer than two.
        where_not: the first signal and iteration in which its runs differ; empty where they don't.
        deviation: of the look that is farthest off in units of what is allowed, a difference of logarithms: relative,
            where it is small. NaN where nothing was looked at.
        allowed: what that look allows.
        look: which it is, as ``loss at iteration 0``.
        reasons: why it is not like the others; empty where it is.
    """

    card: str
    runs: int
    repeats_itself: bool | None
    where_not: str
    deviation: float
    allowed: float
    look: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class CardSpread:
    """What is said of the cards together.

    Args:
        case: that was run on them.
        rows: a row a card, in their order.
        same_bits: whether all whole runs of all cards have the same bits.
        false_alarm_rate: chance that a round of healthy cards has one that is called.
        looks: how many looks at each card share it.
        undecided: why cards can't be compared; empty where they can.
    """

    case: str
    rows: tuple[CardRow, ...]
    same_bits: bool
    false_alarm_rate: float
    looks: int
    undecided: str = ""

    @property
    def odd(self) -> tuple[CardRow, ...]:
        """The cards that are not like the others."""
        return tuple(row for row in self.rows if row.reasons)


def judge_cards(
    case: str, runs: Mapping[str, Sequence[Trace]], false_alarm_rate: float = FALSE_ALARM_RATE
) -> CardSpread:
    """Compare cards that ran the same case, each as often.

    Args:
        case: its name.
        runs: card → its whole runs; one that left none is compared with nothing, and its own result says why.
        false_alarm_rate: chance that a round of healthy cards has one that is called.

    Raises:
        UsageError: the rate is no chance.
    """
    require_rate(false_alarm_rate)
    ran = {card: traces for card, traces in runs.items() if traces}
    own = {card: _own_difference(traces) for card, traces in ran.items()}
    if len(ran) < MINIMUM_CARDS:
        cards = "1 card" if len(ran) == 1 else f"{len(ran)} cards"
        undecided = f"{cards} left a whole run: to say which one is off takes {MINIMUM_CARDS}"
        every = [trace for traces in ran.values() for trace in traces]
        rows = [_row(card, traces, own.get(card, ""), [], None) for card, traces in runs.items()]
        same = len(every) > 1 and not any(first_difference(every[0], other) for other in every[1:])
        return CardSpread(case, tuple(rows), same, false_alarm_rate, 0, undecided)
    reasons: dict[str, list[str]] = {card: [] for card in ran}
    for card in ran:
        reasons[card] += [*_bits(card, ran, own), *_not_finite(card, ran)]
    looks = _looks(ran)
    worst: dict[str, _Look] = {}
    chance = false_alarm_rate / (len(ran) * max(1, len(looks)))
    for name, values in looks.items():
        for card, look in _studentized(list(ran), name, values, chance).items():
            worst[card] = max(worst.get(card, look), look, key=lambda each: each.share)
            if look.share > 1:
                reasons[card].append(look.sentence)
    rows = [
        _row(card, traces, own.get(card, ""), reasons.get(card, []), worst.get(card)) for card, traces in runs.items()
    ]
    first = next(iter(ran.values()))[0]
    same = not any(first_difference(first, trace) for traces in ran.values() for trace in traces)
    return CardSpread(case, tuple(rows), same, false_alarm_rate, len(looks))


def first_difference(one: Trace, other: Trace) -> str:
    """The first signal and iteration in which two runs of the same inputs differ; empty where they are bit-equal.

    What an iteration costs is left out. Values are equal to the bit, NaN with NaN.
    """
    if len(one) != len(other):
        return f"{len(one)} iterations and {len(other)}"
    if one.batches != other.batches:
        at = next(n for n, pair in enumerate(zip(one.batches, other.batches, strict=True)) if pair[0] != pair[1])
        return f"the batch of iteration {at}"
    found: list[tuple[int, str]] = []
    for name in sorted({*one.signals, *other.signals} - _COSTS):
        if name not in one.signals or name not in other.signals:
            return f"{name}, which one of them lacks"
        unequal = one.signals[name].view(np.int64) != other.signals[name].view(np.int64)
        if unequal.any():
            found.append((int(unequal.argmax()), name))
    if found:
        at, name = min(found)
        return f"{name} at iteration {at}"
    ours, theirs = one.state, other.state
    if ours.names != theirs.names or not np.array_equal(ours.values, theirs.values, equal_nan=True):
        return "the norm of a tensor of the state"
    return ""


@dataclass(frozen=True)
class _Look:
    """One look at one card: how far it is off, and how far it may be; differences of logarithms."""

    name: str
    deviation: float
    allowed: float

    @property
    def share(self) -> float:
        return abs(self.deviation) / self.allowed

    @property
    def sentence(self) -> str:
        return f"{self.name} is {self.deviation:+.2e} off the other cards', where {self.allowed:.1e} is allowed"


def _own_difference(traces: Sequence[Trace]) -> str:
    return next((found for other in traces[1:] if (found := first_difference(traces[0], other))), "")


def _bits(card: str, ran: Mapping[str, Sequence[Trace]], own: Mapping[str, str]) -> list[str]:
    """How a card differs in its bits from others that all agree."""
    others = [trace for name, traces in ran.items() if name != card for trace in traces]
    # Cards that don't agree among themselves are no measure of a bit: their spread is what this one is held to.
    if any(first_difference(others[0], other) for other in others[1:]):
        return []
    if own[card]:
        return [f"it doesn't repeat its own bits ({own[card]}), where the other cards do"]
    found = first_difference(others[0], ran[card][0])
    return [f"its bits differ from those that all other cards have in common, first in {found}"] if found else []


def _not_finite(card: str, ran: Mapping[str, Sequence[Trace]]) -> list[str]:
    """The signals that are not finite on this card alone: there is no spread to hold them to."""

    def finite(name: str, traces: Sequence[Trace]) -> bool:
        return all(name not in trace.signals or bool(np.isfinite(trace.signals[name]).all()) for trace in traces)

    names = [name for name in LOOKED_AT if not finite(name, ran[card])]
    others = [traces for name, traces in ran.items() if name != card]
    return [
        f"{name} isn't finite, where the other cards' is"
        for name in names
        if all(finite(name, traces) for traces in others)
    ]


def _looks(ran: Mapping[str, Sequence[Trace]]) -> dict[str, FloatArray]:
    """Name of a look → (K,) logarithms, a card's being the mean over its runs; those that every card has."""
    every = [trace for traces in ran.values() for trace in traces]
    shortest = min(len(trace) for trace in every)
    found: dict[str, FloatArray] = {}
    for name in LOOKED_AT:
        if shortest == 0 or not all(name in trace.signals and _positive(trace.signals[name]) for trace in every):
            continue
        logs = {card: [np.log(trace.signals[name][:shortest]) for trace in traces] for card, traces in ran.items()}
        found[f"{name} at iteration 0"] = np.array([np.mean([each[0] for each in logs[card]]) for card in ran])
        if shortest > 1:
            means = [np.mean([each[1:].mean() for each in logs[card]]) for card in ran]
            found[f"the mean of {name} after it"] = np.array(means)
    return found


def _positive(values: FloatArray) -> bool:
    return bool(np.isfinite(values).all() and (values > 0).all())


def _studentized(cards: Sequence[str], name: str, values: FloatArray, chance: float) -> dict[str, _Look]:
    """A card's distance from the others' mean, and the largest that has the chance; two-sided."""
    count = len(cards)
    largest = float(stats.t.isf(chance / 2, count - 2)) * np.sqrt(1 + 1 / (count - 1))
    found = {}
    for place, card in enumerate(cards):
        others = np.delete(values, place)
        spread = max(float(others.std(ddof=1)), _RESOLUTION)
        found[card] = _Look(name, float(values[place] - others.mean()), float(largest * spread))
    return found


def _row(card: str, traces: Sequence[Trace], own: str, reasons: Sequence[str], worst: _Look | None) -> CardRow:
    repeats_itself = None if len(traces) < 2 else not own
    deviation, allowed, look = (worst.deviation, worst.allowed, worst.name) if worst else (float("nan"),) * 2 + ("",)
    return CardRow(card, len(traces), repeats_itself, own, deviation, allowed, look, tuple(reasons))
