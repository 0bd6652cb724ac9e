"""What a study runs: every fault that can strike, and seeds that are used for one thing only."""

import dataclasses
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.lab.faults import FAULTS
from harness.lab.power.ports import PORTS, list_ports
from harness.lab.power.study_plan import Settings, choose_faults, needs, plan_case
from harness.lab.power.study_run import Experiment, Kind
from harness.lab.power.study_worker import Request
from harness.store.decoding import convert_value
from harness.values.case import Case
from harness.values.errors import RunError, UsageError

CASE = Case(name="made_up", config=Path("made_up.py"), iterations=12)


def planned(**changes):
    settings = dataclasses.replace(Settings(choose_faults("all"), healthy=12), **changes)
    first, second = plan_case(CASE, settings, held=8)
    return [*first, *second]


def test_every_fault_of_the_catalogue_is_run_or_said_to_need_more():
    run = {experiment.name for experiment in planned() if experiment.kind is Kind.FAULT}
    left_out = {name for name, fault in FAULTS.items() if needs(fault)}
    assert run | left_out == set(FAULTS)
    assert not run & left_out
    assert left_out >= {name for name, fault in FAULTS.items() if "needs" in fault.summary + fault.stands_for}


def test_no_seed_of_healthy_noise_serves_two_ends():
    seeds = {kind: {e.noise_seed for e in planned() if e.kind is kind} for kind in Kind if kind is not Kind.FAULT}
    baseline = set(range(8))
    used = [baseline, seeds[Kind.REPEAT], seeds[Kind.ROUNDING], seeds[Kind.HEALTHY]]
    assert all(used)
    assert sum(map(len, used)) == len(set().union(*used))


@given(st.integers(0, 300))
def test_ports_are_dealt_out_evenly_and_no_seed_twice(count):
    ports = list(list_ports(count))
    assert len({seed for _, seed in ports}) == count
    each = [sum(port is kind for port, _ in ports) for kind in PORTS]
    assert max(each) - min(each) <= 1


def test_the_first_ports_of_a_larger_study_are_those_of_a_smaller_one():
    smaller, larger = ([e.key("code") for e in planned(healthy=n) if e.kind is Kind.HEALTHY] for n in (5, 12))
    assert set(smaller) < set(larger)


def test_what_a_run_has_in_its_key_and_what_not():
    experiment = next(e for e in planned() if e.kind is Kind.FAULT)
    assert experiment.key("code") != experiment.key("other code")
    assert experiment.key("code") != dataclasses.replace(experiment, iterations=3).key("code")
    assert experiment.key("code") == dataclasses.replace(experiment, stops=False, settle=0).key("code")
    keys = [e.key("code") for e in planned()]
    assert len(set(keys)) == len(keys)


def test_an_experiment_crosses_to_its_worker_whole():
    for experiment in planned(shadow=(0, 1)):
        asked = Request(experiment, "there", "", "baselines", "tf32", 1e-3)
        assert pickle.loads(pickle.dumps(asked)) == asked  # noqa: S301  # as a pipe does


@pytest.mark.parametrize("document", [{}, {"kind": "unheard-of"}, {"kind": "fault"}])
def test_what_is_no_experiment_is_refused(document):
    with pytest.raises(RunError):
        convert_value(document, Experiment, "an experiment", RunError)


def test_faults_are_chosen_by_name():
    assert choose_faults("none") == ()
    assert {*choose_faults("known"), *choose_faults("blind")} == set(choose_faults("all")) == set(FAULTS)
    assert all(FAULTS[name].blind for name in choose_faults("blind"))
    assert not any(FAULTS[name].blind for name in choose_faults("known"))
    assert choose_faults(" bn-eps-1e-3 , conv-wgrad-x1.05@3:1.1,bn-eps-1e-3") == (
        "bn-eps-1e-3",
        "conv-wgrad-x1.05@3:1.1",
    )
    for wrong in ("", "bn-eps-1e-33", ","):
        with pytest.raises(UsageError):
            choose_faults(wrong)


def test_iterations_that_a_run_has_not_are_not_shadowed():
    assert {e.shadow for e in planned(shadow=(0, 29)) if e.kind is Kind.SHADOWED} == {(0,)}
    assert not [e for e in planned(shadow=(29,)) if e.kind is Kind.SHADOWED]


def test_beside_each_run_that_is_judged_one_is_shadowed():
    plan = planned(shadow=(0, 1), forced=True)
    judged = {e.name: e for e in plan if e.kind in {Kind.FAULT, Kind.HEALTHY}}
    shadowed = {e.name: e for e in plan if e.kind is Kind.SHADOWED}
    assert set(shadowed) == set(judged)
    for name, watched in shadowed.items():
        alike = dataclasses.replace(
            watched, kind=judged[name].kind, shadow=(), shadow_tier="", forced=False,
            stops=judged[name].stops, settle=judged[name].settle,
        )  # fmt: skip
        assert alike == judged[name]
        assert watched.stops == bool(watched.faults), "a healthy port is watched to the end of what is shadowed"


def test_what_is_shadowed_changes_no_other_run():
    def keys(**changes):
        return {e.key("code") for e in planned(**changes) if e.kind is not Kind.SHADOWED}

    assert keys() == keys(shadow=(0, 1), forced=True)
