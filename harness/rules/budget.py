"""Budget: one chance of a false alarm for a whole gate, divided over everything that could raise one.

A gate of many cases that each call a healthy port once in a thousand times is red every other week. So what is asked
for is asked of the gate, and divided evenly by its cases, each case's part by the statistical rules, and each rule's by
its looks (Bonferroni: the parts add up to no more than the whole, however they depend on each other). The precision
tiers of a case take no part: a healthy port fails where it fails at its own tier.
"""

from __future__ import annotations

from harness.values.errors import UsageError

__all__ = ["FALSE_ALARM_RATE", "require_rate", "share_of"]

FALSE_ALARM_RATE = 1e-3
"""Chance that a healthy port is called a failure, over all cases, rules, signals and iterations of a gate."""


def require_rate(false_alarm_rate: float) -> float:
    """The rate, where it is a chance.

    Raises:
        UsageError: it isn't.
    """
    if not 0 < false_alarm_rate < 1:
        raise UsageError(
            "a false-alarm rate is a chance",
            where="--false-alarm-rate",
            observed=false_alarm_rate,
            allowed="more than 0 and less than 1, for example 1e-3",
        )
    return false_alarm_rate


def share_of(false_alarm_rate: float, cases: int, gate_size: int = 0) -> float:
    """What each case of a gate gets of its rate.

    Args:
        false_alarm_rate: of the whole gate, in (0, 1).
        cases: how many of them one command judges.
        gate_size: how many the gate has, where several commands judge it; ``cases`` where 0.

    Raises:
        UsageError: the rate is no chance, or the gate has fewer cases than the command.
    """
    if gate_size and gate_size < cases:
        raise UsageError(
            "the gate has fewer cases than the command", where="--gate-size", observed=gate_size, allowed=f"≥ {cases}"
        )
    return require_rate(false_alarm_rate) / max(cases, gate_size, 1)
