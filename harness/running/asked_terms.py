"""The terms of a verdict: what was asked of a candidate, beside what the case's own gate asks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.rules.budget import FALSE_ALARM_RATE
from harness.running.order import Order
from harness.shadow.shadowed_iterations import spread_iterations
from harness.store.baselines import list_references, load_baseline
from harness.values.baseline import Baseline
from harness.values.case import Case
from harness.values.errors import AlignmentError
from harness.values.precision import TIERS
from harness.values.terms import Against, Terms
from harness.values.verdict import Agreement

__all__ = ["better_references", "terms_alone", "terms_of"]


def terms_of(
    case: Case,
    order: Order,
    *,
    baseline: Baseline | None,
    tier: str,
    false_alarm_rate: float,
    gate_size: int,
    remarks: tuple[str, ...] = (),
    accepted: Sequence[Agreement] = (),
) -> Terms:
    """Of a candidate that is judged by a baseline.

    Args:
        case: what is run.
        order: how.
        baseline: that it is judged by; None where none could be read.
        tier: the precision tier that is demanded.
        false_alarm_rate: the case's share of its gate's.
        gate_size: how many cases share the gate's.
        remarks: what else weakens the answer.
        accepted: the settings that differ from the baseline's and were accepted.
    """
    planned = order.iterations or case.iterations
    asked = [_counted(planned, "iteration"), f"tier {tier}"]
    left_out = []
    if planned < case.iterations:
        left_out.append(f"{case.iterations - planned} of its {case.iterations} iterations")
    if case.tier in TIERS and tier in TIERS and TIERS.index(tier) > TIERS.index(case.tier):
        left_out.append(f"its tier {case.tier}")
    if baseline is not None and tier in baseline.tiers:
        repeats = len(baseline.tiers[tier])
        asked.append(f"{repeats} healthy runs of {baseline.reference}")
        if repeats < case.repeats:
            left_out.append(f"{case.repeats - repeats} of its {case.repeats} healthy runs")
    if false_alarm_rate * gate_size < FALSE_ALARM_RATE * (1 - 1e-9):
        left_out.append(f"what only a false-alarm rate of {FALSE_ALARM_RATE:g} calls")
    left_out += [f"an equal {row.what} ({row.reference} → {row.candidate})" for row in accepted]
    shadow, without = _shadow(order, planned)
    return Terms(
        Against.BASELINE,
        false_alarm_rate=false_alarm_rate,
        gate_size=gate_size,
        asked=(*asked, *shadow, _rate(false_alarm_rate, gate_size)),
        left_out=(*left_out, *without),
        remarks=remarks,
    )


def terms_alone(case: Case, order: Order) -> Terms:
    """Of a candidate that is judged by shadow ops alone."""
    planned = order.iterations or case.iterations
    shadow, without = _shadow(order, planned)
    asked = (_counted(planned, "iteration"), f"tier {order.shadow_tier}", *shadow)
    return Terms(Against.HOST, asked=asked, left_out=("the baseline", *without))


def better_references(baselines: Path, case: Case, baseline: Baseline) -> tuple[str, ...]:
    """What to say where a candidate is judged by a processor's runs, and runs of an accelerator lie beside them."""
    if baseline.provenance.device.kind != "cpu":
        return ()
    remarks = []
    for name in list_references(baselines, case.name):
        if name == baseline.reference:
            continue
        try:
            other = load_baseline(baselines, case.name, name)
            other.require_sampling()
        except AlignmentError:
            continue  # it would be told to whoever asks for it
        device = other.provenance.device
        if device.kind != "cpu":
            remarks.append(
                f"judged by {baseline.reference}, while a baseline of an accelerator lies unused beside it: "
                f"--reference {name} judges by {device.name}"
            )
    return tuple(remarks)


def _shadow(order: Order, planned: int) -> tuple[list[str], list[str]]:
    """What is asked of shadow ops, and what of the usual is not."""
    if not order.shadow:
        return ["no shadow ops"], ["shadow ops"]
    asked = [f"shadow ops at {_counted(len(order.shadow), 'iteration')}"]
    left_out = []
    if order.shadow_ops:
        asked.append(f"of {', '.join(order.shadow_ops)} alone")
        left_out.append(f"shadow ops other than {', '.join(order.shadow_ops)}")
    if (missing := len(spread_iterations(planned)) - len(order.shadow)) > 0:
        left_out.append(f"{missing} of {len(spread_iterations(planned))} shadowed iterations")
    asked.append("hard inputs" if order.shadow_forced else "no hard inputs")
    return asked, left_out


def _rate(share: float, gate_size: int) -> str:
    if gate_size == 1:
        return f"a false-alarm rate of {share:g}"
    return f"a false-alarm rate of {share:g}, one of {gate_size} cases of a gate of {share * gate_size:g}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
