"""Traces that should not pass, made of a measured baseline: none does, but for what the verdict says it can't see.

The candidate is a healthy run that is left out of its own baseline. Each attack changes something of it, or of where
it says that it comes from, or of the reference.
"""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from harness.rules.gate import Gate
from harness.store.baselines import load_baseline
from harness.values.errors import AlignmentError
from harness.values.provenance import Device
from harness.values.trace import StateTable, Trace
from harness.values.verdict import Status

ROOT = Path(__file__).parents[2]
OF_THE_DEVICE = {"lr", "seconds", "memory", "device_draws", "host_draws"}


@pytest.fixture(scope="module")
def whole():
    return load_baseline(ROOT / "baselines", "ann_small", "cpu")


@pytest.fixture(scope="module")
def baseline(whole):
    return dataclasses.replace(whole, tiers={tier: runs[1:] for tier, runs in whole.tiers.items()})


@pytest.fixture(scope="module")
def candidate(whole):
    return whole.tiers["fp32"][0]


@pytest.fixture(scope="module")
def gate(baseline):
    return Gate(baseline, baseline.iterations)


def changed(trace, change, names=("loss",)):
    signals = {name: change(values.copy()) if name in names else values for name, values in trace.signals.items()}
    return dataclasses.replace(trace, signals=signals)


def judged(trace):
    return tuple(name for name in trace.signals if name not in OF_THE_DEVICE)


def at(place, value):
    def change(values):
        values[place] = value
        return values

    return change


def cut(trace, keep, iterations=None, planned=None):
    keep = np.asarray(keep)
    return Trace(
        iterations=keep if iterations is None else np.asarray(iterations),
        signals={name: values[keep] for name, values in trace.signals.items()},
        planned=planned or len(keep),
        complete=True,
        batches=tuple(trace.batches[number] for number in keep),
        state=trace.state,
        evaluation=trace.evaluation,
    )


def without_a_row(table):
    return StateTable(table.iterations[:-1], table.names, table.values[:-1])


def without_a_name(table):
    return StateTable(table.iterations, table.names[1:], table.values[:, 1:])


LAST = 29
ATTACKS = {
    "NaN from 3 on": lambda t: changed(t, at(slice(3, None), np.nan)),
    **{f"1000 at {i}": lambda t, i=i: changed(t, at(i, 1000.0)) for i in (0, 15, LAST)},
    **{f"inf at {i}": lambda t, i=i: changed(t, at(i, np.inf)) for i in (0, 15, LAST)},
    "shuffled": lambda t: changed(t, np.random.default_rng(0).permutation),
    "all shuffled": lambda t: changed(t, np.random.default_rng(0).permutation, judged(t)),
    "frozen": lambda t: changed(t, lambda v: np.full_like(v, v[0])),
    "all frozen": lambda t: changed(t, lambda v: np.full_like(v, v[0]), judged(t)),
    "zero": lambda t: changed(t, np.zeros_like),
    "all zero": lambda t: changed(t, np.zeros_like, judged(t)),
    "negated": lambda t: changed(t, np.negative),
    "missing in the middle": lambda t: cut(t, [*range(10), *range(15, 30)]),
    "missing, numbered through": lambda t: cut(t, [*range(10), *range(15, 30)], range(25)),
    "one twice": lambda t: cut(t, sorted([*range(29), 3]), range(30)),
    "half, said complete": lambda t: dataclasses.replace(t.head(15), planned=30, complete=True),
    "half": lambda t: t.head(15),
    "one iteration": lambda t: t.head(1),
    "none": lambda t: t.head(0),
    "numbered from 1": lambda t: cut(t, range(30), range(1, 31)),
    "no batches": lambda t: dataclasses.replace(t, batches=()),
    "unknown batches": lambda t: dataclasses.replace(t, batches=("",) * 30),
    "another last batch": lambda t: dataclasses.replace(t, batches=(*t.batches[:-1], "x")),
    "no state": lambda t: dataclasses.replace(t, state=StateTable.empty()),
    "no evaluation": lambda t: dataclasses.replace(t, evaluation=StateTable.empty()),
    "a tensor less": lambda t: dataclasses.replace(t, state=without_a_name(t.state)),
    "a row of state less": lambda t: dataclasses.replace(t, state=without_a_row(t.state)),
    "an answer less": lambda t: dataclasses.replace(t, evaluation=without_a_name(t.evaluation)),
    "a row of answers less": lambda t: dataclasses.replace(t, evaluation=without_a_row(t.evaluation)),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_wrong_with_a_trace_never_passes(gate, baseline, candidate, attack):
    assert gate.judge(candidate, baseline.provenance).status is Status.PASS
    try:
        trace = ATTACKS[attack](candidate)
        status = gate.judge(trace, baseline.provenance).status
    except AlignmentError:
        return
    assert status is not Status.PASS


def test_no_signal_may_be_absent(gate, baseline, candidate):
    for name in candidate.signals:
        if name in {"loss", *OF_THE_DEVICE} - {"lr"}:
            continue
        signals = {other: values for other, values in candidate.signals.items() if other != name}
        verdict = gate.judge(dataclasses.replace(candidate, signals=signals), baseline.provenance)
        assert verdict.status is not Status.PASS, name


@pytest.mark.parametrize("start", [0, 10])
@pytest.mark.parametrize("everything", [False, True])
def test_a_constant_deviation_that_passes_is_below_what_is_said_to_be_seen(
    gate, baseline, candidate, start, everything
):
    names = judged(candidate) if everything else ("loss",)
    for off in (0.049, 0.02, -0.02, -0.049, 0.001, -0.001, 1e-4, 1e-5):
        factor = np.where(np.arange(30) >= start, 1 + off, 1.0)
        trace = changed(candidate, lambda values, factor=factor: values * factor, names)
        verdict = gate.judge(trace, baseline.provenance)
        if verdict.status is Status.PASS:
            worst = max(float(found) for found in re.findall(r"by (\S+) % at iteration", verdict.reason))
            assert 100 * abs(off) <= worst, verdict.reason


OTHER = {
    "weights": "0" * 64,
    "no weights": "",
    "settings": {},
    "seed": 1,
    "precision": "amp-fp16",
    "global_batch": 16,
    "case": "other",
}


@pytest.mark.parametrize("name", OTHER)
def test_another_origin_never_passes(gate, baseline, candidate, name):
    origin = dataclasses.replace(baseline.provenance, **{name.removeprefix("no "): OTHER[name]})
    assert gate.judge(candidate, origin).status is Status.INCONCLUSIVE
    assert gate.is_foreign(origin)


def test_what_may_differ_does(gate, baseline, candidate):
    for changes in ({"data_root": "/x"}, {"device": Device("sdaa", "x", emulated=True)}):
        origin = dataclasses.replace(baseline.provenance, **changes)
        assert gate.judge(candidate, origin).status is Status.PASS


@pytest.mark.parametrize(("scatter", "start"), [(0.05, 0), (0.05, 5), (0.3, 1), (2.0, 0), (2.0, 5)])
def test_a_reference_that_cannot_see_passes_nothing(whole, candidate, scatter, start):
    draw = np.random.default_rng(0)

    def scattered(run):
        factor = np.where(np.arange(30) >= start, np.exp(scatter * draw.standard_normal(30)), 1.0)
        return changed(run, lambda values: values * factor)

    blind = dataclasses.replace(whole, tiers={"fp32": tuple(scattered(run) for run in whole.tiers["fp32"])})
    gate = Gate(blind, 30)
    for off in (0.049, 0.5, -0.5):
        factor = np.where(np.arange(30) >= start, 1 + off, 1.0)
        trace = changed(candidate, lambda values, factor=factor: values * factor)
        assert gate.judge(trace, whole.provenance).status is not Status.PASS
