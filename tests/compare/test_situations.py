"""What a person would see in two curves is what the first line says: a test a detector."""

import numpy as np
import pytest

from harness.language.speech import untranslated
from harness.values.verdict import Outcome, Status
from tests.compare.two_logs import N, judge, log, losses

AT = np.arange(N)


def rolling(values, window):
    return np.array([values[max(0, at + 1 - window) : at + 1].mean() for at in range(len(values))])


def apart():
    noise = 1 + 0.3 * np.random.default_rng(3).standard_normal(N)
    return losses(0, 1) * np.exp(0.3 * np.exp(-AT / 30) * noise)


SITUATIONS = {
    "NaN from iteration 7 on: the candidate's loss": ({}, {"values": np.where(AT >= 7, np.nan, losses(0, 1))}, "FAIL"),
    "NaN at iteration 7: the candidate's loss": ({}, {"values": np.where(AT == 7, np.nan, losses(0, 1))}, "FAIL"),
    "NaN (not printed) from iteration 60 on: the candidate's loss": (
        {},
        {"values": losses(0, 1)[:60], "lacking": dict.fromkeys(range(60, N), "grad norm: nan")},
        "FAIL",
    ),
    "zero: the candidate's loss is exactly 0 from iteration 50 on": (
        {},
        {"values": np.where(AT >= 50, 0.0, losses(0, 1))},
        "FAIL",
    ),
    "frozen: the candidate's loss never changes from iteration 50 on": (
        {},
        {"values": np.where(AT >= 50, 2.5, losses(0, 1))},
        "FAIL",
    ),
    "the candidate doesn't learn: its loss stays near": (
        {},
        {"values": 4 * np.exp(0.1 * np.random.default_rng(0).standard_normal(N))},
        "FAIL",
    ),
    "other batch or world size: global batch 32 against 64": (
        {"settings": {"global batch": "32"}},
        {"values": losses(0, 1), "settings": {"global batch": "64"}},
        "INCONCLUSIVE",
    ),
    "constant factor ÷ 4 at every iteration": ({}, {"values": losses(0) / 4}, "INCONCLUSIVE"),
    "constant factor × 4 at every iteration": ({}, {"values": losses(0) * 4}, "INCONCLUSIVE"),
    "constant factor ln 2 at every iteration": ({}, {"values": losses(0) * np.log(2)}, "INCONCLUSIVE"),
    "constant factor 1.01: the candidate's loss is off by 1 % throughout": (
        {"values": losses(0, own_noise=1e-4)},
        {"values": losses(0, 1, own_noise=1e-4) * 1.01},
        "FAIL",
    ),
    "offset in numbering: the candidate's iterations fit once they are moved by -1": (
        {},
        {"iterations": AT + 1},
        "INCONCLUSIVE",
    ),
    "resumed run beside a full one: the candidate's iterations fit moved by +50": (
        {},
        {"values": losses(0, 1)[50:], "iterations": np.arange(50)},
        "INCONCLUSIVE",
    ),
    "smoothed on one side: the candidate's loss is a mean over about 20 iterations": (
        {},
        {"values": rolling(losses(0), 20)},
        "INCONCLUSIVE",
    ),
    "other data or order: ": ({}, {"values": losses(1, 1)}, "INCONCLUSIVE"),
    "starts apart: the losses are ": (
        {},
        {"values": apart()},
        "INCONCLUSIVE",
    ),
    "drifts from iteration": ({}, {"values": losses(0, 1, own_noise=1e-3) * np.exp(0.002 * AT)}, "FAIL"),
    "drifts a little: +": (
        {"values": losses(0, own_noise=1e-5)},
        {"values": losses(0, 1, own_noise=1e-5) * np.exp(2e-5 * AT)},
        "INCONCLUSIVE",
    ),
    "spike at iteration 60: × 3.99, recovered at 61": (
        {},
        {"values": losses(0, 1) * np.where(AT == 60, 4.0, 1.0)},
        "INCONCLUSIVE",
    ),
    "parts from iteration": (
        {},
        {"values": np.where(AT < 20, losses(0, 1), losses(1, 1))},
        "INCONCLUSIVE",
    ),
    "ends early: the candidate stops at iteration 36 of 99": ({}, {"values": losses(0, 1)[:37]}, "INCONCLUSIVE"),
    "same run: ": ({}, {"values": losses(0)}, "INCONCLUSIVE"),
    "aligned as far as this can show: within ": ({}, {"values": losses(0, 1)}, "INCONCLUSIVE"),
    "aligned at tf32's rounding: within 0.0": (
        {"values": losses(0, own_noise=1e-4)},
        {"values": losses(0, 1, own_noise=1e-4)},
        "PASS",
    ),
    "too few: 10 common iterations": (
        {"values": losses(0)[:10]},
        {"values": losses(0, 1)[:10]},
        "INCONCLUSIVE",
    ),
    "numbered by position: ": ({"numbered": False}, {"values": losses(0, 1)}, "INCONCLUSIVE"),
    "numbered by position: drifts": (
        {"numbered": False},
        {"values": losses(0, 1, own_noise=1e-3) * np.exp(0.002 * AT)},
        "INCONCLUSIVE",
    ),
}  # fmt: skip


@pytest.mark.parametrize("headline", SITUATIONS)
def test_the_first_line_names_the_situation(headline):
    reference, candidate, status = SITUATIONS[headline]
    verdict = judge(*(log(**{"values": losses(0), **side}) for side in (reference, candidate)))
    assert verdict.reason.startswith(headline)
    assert untranslated(verdict.reason) == []
    assert len(verdict.reason) <= 100
    assert verdict.status is Status(status)


@pytest.mark.parametrize("own", range(20))
def test_a_healthy_pair_is_no_situation(own):
    """Nothing is called, with a noise of 0.5 % or 5 % that grows from 1e-7."""
    for noise in (0.005, 0.05):
        verdict = judge(log(losses(own)), log(losses(own, 1 + own, own_noise=noise)))
        assert verdict.status is Status.INCONCLUSIVE
        assert verdict.reason.startswith(("aligned as far as this can show: ", "undecided: ", "parts from"))
        assert all(finding.status is not Outcome.FAIL for finding in verdict.findings)


def test_before_any_update_is_said_of_a_true_iteration_0_alone():
    for changes, said in (({}, True), ({"window": 10}, False), ({"iterations": AT + 1}, False)):
        verdict = judge(log(losses(0), **changes), log(apart(), **changes))
        assert verdict.reason.startswith("starts apart: ")
        assert ("before any update" in verdict.reason) is said
