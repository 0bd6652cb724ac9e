"""Faults between processes: with one, they are refused."""

from __future__ import annotations

import pytest

from harness.lab.faults import FAULTS
from harness.values.errors import DeviceError
from tests.emulation.runner_faults.stand_in import Check, FakeRunner


def refuses_one_process(name: str) -> None:
    with pytest.raises(DeviceError, match="--nproc-per-node 2"):
        FakeRunner().start(FAULTS[name])


CHECKS: dict[str, Check] = {
    "allreduce-not-averaged": refuses_one_process,
    "allreduce-rank-lost": refuses_one_process,
    "allreduce-in-bf16": refuses_one_process,
    "allreduce-skipped": refuses_one_process,
}
