"""Rows of studies that nobody ran."""

from harness.lab.power.detection import Detection
from harness.lab.power.effect import Effect, Extent
from harness.lab.power.study_rows import FaultRow, HealthyRow
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
