"""What the gate and each rule say of a run: the same of a stopped one as of a whole one, as far as it goes."""

import dataclasses

import numpy as np
import pytest

from harness.lab.power.detection import CRASH, HARD_INPUTS, SHADOW, detect
from harness.lab.power.effect import Extent, measure_effect
from harness.lab.power.ensembles import cut_ensembles, gate_of
from harness.lab.power.finished_run import Ending
from harness.lab.power.study_run import Experiment, Kind
from harness.rules.gate import Gate
from harness.shadow.evidence.checks import Coverage, Part, ShadowCheck, ShadowRecord
from harness.values.verdict import Status
from tests.healthy_runs import make_baseline, make_provenance, make_trace, with_signal

WATCHED = Experiment("made_up", "", Kind.SHADOWED, "x", shadow=(0,), forced=True)


@dataclasses.dataclass
class Made:
    """A record that lies nowhere."""

    trace: object
    provenance: object
    ending: Ending = Ending.COMPLETE
    error: str = ""
    errors: object = None
    shadow: object = None
    forced: object = None
    experiment: Experiment = dataclasses.field(default_factory=lambda: Experiment("made_up", "", Kind.FAULT, "x"))


@pytest.fixture(scope="module")
def gate():
    return Gate(make_baseline(), 30, "tf32")


@pytest.fixture
def record():
    def made(seed=777, **changes):
        return Made(make_trace(seed, 1e-3), make_provenance(), **changes)

    return made


def off(trace, signal, at, factor=1.05):
    values = trace.signals[signal].copy()
    values[at:] *= factor
    return with_signal(trace, signal, values)


def cut(trace, iterations):
    """As a run that was stopped leaves it."""
    head = trace.head(iterations)
    return dataclasses.replace(head, planned=trace.planned, complete=False)


def test_a_healthy_run_is_called_by_nothing(gate, record):
    found = detect(gate, record())
    assert (found.status, found.seen, found.within, dict(found.rules)) == (Status.PASS, False, None, {})


@pytest.mark.parametrize(
    ("signal", "column"),
    [
        ("grad_norm", "gradient norm"), ("update_norm", "update norm"), ("param_norm", "parameter norms"),
        ("bn_var_norm", "BatchNorm statistics"), ("decode.loss_ce", "loss components"), ("lr", "schedule"),
    ],
)  # fmt: skip
def test_a_rule_is_named_with_the_first_iteration(gate, record, signal, column):
    made = record()
    made.trace = off(made.trace, signal, 4)
    found = detect(gate, made)
    assert found.status is Status.FAIL
    assert found.rules[column] == 4
    assert found.within == 5


def test_a_stopped_run_is_judged_as_the_whole_one_was(gate, record):
    made = record()
    made.trace = off(made.trace, "grad_norm", 4)
    whole = detect(gate, made)
    made.trace, made.ending = cut(made.trace, 7), Ending.STOPPED
    stopped = detect(gate, made)
    assert stopped.status is Status.FAIL
    assert stopped.rules["gradient norm"] == whole.rules["gradient norm"] == 4
    assert stopped.iterations == 7


def test_a_stopped_run_that_the_rules_no_longer_see_is_not_called(gate, record):
    made = record(ending=Ending.STOPPED)
    made.trace = cut(made.trace, 7)
    assert not detect(gate, made).seen


def test_a_crash_is_seen_and_says_where(gate, record):
    made = record(ending=Ending.CRASHED, error="RuntimeError: boom\nand more")
    made.trace = cut(made.trace, 7)
    found = detect(gate, made)
    assert (found.status, found.reason, dict(found.rules)) == (Status.ERROR, "RuntimeError: boom", {CRASH: 7})
    nothing = detect(gate, Made(None, None, Ending.CRASHED, "died"))
    assert nothing.seen
    assert nothing.rules == {CRASH: None}


def shadowed_by(*checks, forced=(), **changes):
    """A run that shadow ops watched, and its operations with hard inputs."""
    coverage = Coverage({"relu": 9}, {"relu": 9})
    watched = ShadowRecord((0,), checks, coverage, "tf32")
    made = Made(None, None, shadow=watched, experiment=WATCHED, **changes)
    made.forced = ShadowRecord((0,), forced, coverage, "tf32")
    return made


def relu(module, error=0.0):
    return ShadowCheck(0, Part.FORWARD, module, "relu", "output", 3, "float32", (4,), True, error, 0.0)


def test_what_shadow_ops_and_hard_inputs_find_is_told_apart(gate, record):
    right, off = relu("stem"), relu("stem", 0.5)
    nothing = detect(gate, record(), shadowed_by(right, forced=[relu("NaN"), relu("ties")]))
    assert (nothing.shadowed, nothing.forced, nothing.seen_at_all, nothing.called) == (True, True, False, ())
    found = detect(gate, record(), shadowed_by(off, forced=[relu("ties")]))
    assert (found.seen, found.seen_with_shadow, found.seen_at_all) == (False, True, True)
    assert found.called == (SHADOW,)
    hard = detect(gate, record(), shadowed_by(right, forced=[relu("NaN lost", 0.5), relu("ties")]))
    assert (hard.seen, hard.seen_with_shadow, hard.seen_at_all) == (False, False, True)
    assert hard.called == (HARD_INPUTS,)
    assert "NaN among its inputs" in hard.hard_inputs
    spread = detect(gate, record(), shadowed_by(right, forced=[relu("NaN", 0.5), relu("ties")]))
    assert not spread.seen_at_all, "healthy kernels differ in how far it spreads"


def test_without_a_run_beside_it_nothing_is_shadowed(gate, record):
    found = detect(gate, record())
    assert (found.shadowed, found.forced) == (False, False)


def test_a_crash_under_shadow_ops_alone_is_theirs(gate, record):
    crashed = Made(None, None, Ending.CRASHED, "RuntimeError: boom\nand more", experiment=WATCHED)
    found = detect(gate, record(), crashed)
    assert (found.seen, found.seen_with_shadow, found.called, found.shadowed) == (False, True, (CRASH,), True)
    both = detect(gate, record(ending=Ending.CRASHED, error="RuntimeError: boom"), crashed)
    assert (both.seen, both.shadow, both.crashed_shadowed, both.shadowed) == (True, None, False, True)


def test_what_was_found_before_a_crash_is_kept(gate, record):
    found = detect(gate, record(), shadowed_by(relu("stem", 0.5), ending=Ending.CRASHED, error="killed"))
    assert found.shadow[0] == 0
    assert found.called == (CRASH, SHADOW)


def test_other_batches_keep_the_gate_shut(gate, record):
    made = record()
    made.trace = dataclasses.replace(made.trace, batches=tuple(f"{i + 1:032x}" for i in range(30)))
    found = detect(gate, made)
    assert found.status is Status.INCONCLUSIVE
    assert set(found.rules) == {"comparability"}
    assert found.within == 30


def test_an_effect_is_told_from_rounding_and_from_none(record):
    twin = record(1)
    rounding, healthy = [record(seed) for seed in (2, 3, 4, 5)], make_baseline().tiers["tf32"]
    assert measure_effect(record(1), twin, rounding, healthy).extent is Extent.NONE
    assert measure_effect(record(6), twin, rounding, healthy).extent is Extent.ROUNDING
    made = record(1)
    made.trace = off(made.trace, "grad_norm", 3, 1.5)
    effect = measure_effect(made, twin, rounding, healthy)
    assert (effect.extent, effect.what) == (Extent.CLEAR, "grad_norm")
    assert effect.iteration >= 3


def test_an_effect_on_one_gradient_alone_is_an_effect(record):
    twin, made, healthy = record(1), record(1), make_baseline().tiers["tf32"]
    rounding = [record(1, errors={part: np.full((30, 5), 1e-3) for part in ("gradient", "update")}) for _ in range(2)]
    made.errors = {"gradient": np.zeros((4, 5)), "update": np.zeros((4, 5))}
    assert measure_effect(made, twin, rounding, healthy).extent is Extent.NONE
    made.errors["gradient"][2, 3] = 1.5e-3
    assert measure_effect(made, twin, rounding, healthy).extent is Extent.ROUNDING
    made.errors["gradient"][2, 3] = 1.5e-2
    effect = measure_effect(made, twin, rounding, healthy)
    assert (effect.extent, effect.iteration, effect.what) == (Extent.CLEAR, 2, "gradient of tensor 3")


def test_ensembles_share_no_run():
    runs = [make_trace(seed) for seed in range(16)]
    cut_up = cut_ensembles(runs, (5, 8, 16, 20))
    assert {size: len(ensembles) for size, ensembles in cut_up.items()} == {5: 3, 8: 2, 16: 1}
    for ensembles in cut_up.values():
        used = [id(run) for ensemble in ensembles for run in ensemble]
        assert len(set(used)) == len(used)


def test_a_gate_of_more_repeats_judges_as_the_gate_does(record):
    baseline = make_baseline(repeats=16)
    gate = gate_of(baseline, "tf32", baseline.tiers["tf32"], 30, 1e-3)
    assert not detect(gate, record()).seen
    made = record()
    made.trace = off(made.trace, "grad_norm", 4)
    assert detect(gate, made).seen


def test_rounding_alone_is_seldom_taken_for_an_effect(record):
    twin, rounding = record(1), [record(seed) for seed in (2, 3, 4, 5)]
    healthy = make_baseline().tiers["tf32"]
    extents = [measure_effect(record(seed), twin, rounding, healthy).extent for seed in range(1000, 1200)]
    assert extents.count(Extent.ROUNDING) >= 190


def test_a_state_of_other_bits_is_not_without_effect(record):
    twin, made, healthy = record(1), record(1), make_baseline().tiers["tf32"]
    values = made.trace.state.values.copy()
    values[3, 2] = np.nextafter(values[3, 2], 2)
    made.trace = dataclasses.replace(made.trace, state=dataclasses.replace(made.trace.state, values=values))
    assert measure_effect(made, twin, [record(2)], healthy).extent is Extent.ROUNDING
