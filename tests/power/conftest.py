"""Results of studies, made up."""

import pytest

from harness.lab.power.detection import Detection
from harness.lab.power.effect import Effect, Extent
from harness.lab.power.outcome import PowerResult
from harness.lab.power.proportions import Rate
from harness.lab.power.study_rows import EnsembleRow, FaultRow, HealthyRow, NotRun
from harness.values.verdict import Status


def detection(seen=True, rules=None, **changes):
    rules = {"loss": 0, "gradient norm": 1} if rules is None and seen else rules or {}
    first = min((at for at in rules.values() if at is not None), default=None)
    status = Status.FAIL if seen else Status.PASS
    return Detection(status, "loss is off" if seen else "aligned", first, rules, 30, **changes)


def fault_row(
    fault="conv-wgrad-x1.05",
    case="ann_small",
    seen=True,
    extent=Extent.CLEAR,
    strikes="kernel",
    blind=False,
    **changes,
):
    return FaultRow(
        case=case,
        fault=fault,
        strikes=strikes,
        summary="what it does",
        severity=1.05,
        detection=detection(seen, **changes),
        effect=Effect(extent, 7.0, 2, "grad_norm"),
        ending="stopped" if seen else "complete",
        seconds=5.0,
        blind=blind,
    )


def healthy_row(seed=1000, case="ann_small", port="tf32", seen=False):
    return HealthyRow(case, port, seed, detection(seen), 20.0)


@pytest.fixture(scope="session")
def make_rows():
    from types import SimpleNamespace

    return SimpleNamespace(fault=fault_row, healthy=healthy_row, detection=detection)


@pytest.fixture
def result():
    faults = (
        fault_row(),
        fault_row(case="ccnet_small", rules={"loss": 4}),
        fault_row("bn-eps-1e-4", seen=False, extent=Extent.ROUNDING),
        fault_row("bn-eps-1e-4", case="ccnet_small", seen=False, extent=Extent.CLEAR),
        fault_row("subnormals-flushed", seen=False, extent=Extent.NONE),
    )
    healthy = tuple(healthy_row(1000 + number, seen=number == 3) for number in range(10))
    return PowerResult(
        faults=faults,
        healthy=healthy,
        ensembles=(EnsembleRow(5, 2, Rate(2, 5), Rate(2, 3), Rate(1, 10)),),
        not_run=(NotRun("allreduce-skipped", "two processes"),),
        missing={"ann_small": 3, "ccnet_small": 0},
        iterations={"ann_small": 30, "ccnet_small": 30},
        tiers={"ann_small": "tf32", "ccnet_small": "tf32"},
        profile="tf32",
        settle=2,
        false_alarm_rate=1e-3,
        repeats={"ann_small": 8, "ccnet_small": 8},
        seeds={"evaluation": "1000 … 1009"},
        command="align power <ann_small>",
        commit="0123456789ab",
        made="2026-01-01T00:00:00+00:00",
        seconds=3700.0,
    )
