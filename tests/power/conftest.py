"""Results of studies, made up."""

import pytest

from harness.lab.power.effect import Extent
from harness.lab.power.outcome import PowerResult
from harness.lab.power.proportions import Rate
from harness.lab.power.study_rows import EnsembleRow, NotRun
from tests.power.studies import fault_row, healthy_row


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
