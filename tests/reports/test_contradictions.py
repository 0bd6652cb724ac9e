"""Results whose verdict doesn't follow from what they hold, with a checksum made anew: none is read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.values.result import Result
from reports import ResultError, read_result, record_of
from tests.reports.result_files import edited, stored


def no_loss(content: dict[str, Any]) -> None:
    content["loss"].update({name: [] for name in ("iterations", "center", "allowed", "candidate", "deviation")})


def scaled(content: dict[str, Any]) -> None:
    content["loss"]["candidate"][0] *= 1.5


OF_A_PASS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a finding fails": lambda c: c["findings"][0].update(status="fail"),
    "a finding is inconclusive": lambda c: c["findings"][0].update(status="inconclusive"),
    "what must agree differs": lambda c: c["agreements"][0].update(agrees=False, required=True),
    "nothing that must agree": lambda c: [row.update(required=False) for row in c["agreements"]],
    "without a finding": lambda c: c.update(findings=[]),
    "precision tier": lambda c: c.update(findings=[one for one in c["findings"] if one["rule"] != "precision tier"]),
    "with 0 of 30": lambda c: c["iterations"].update(done=0),
    "with 30 of 31": lambda c: c["iterations"].update(planned=31),
    "with 30 of None": lambda c: c["iterations"].update(planned=None),
    "30 iterations of 29": lambda c: c["iterations"].update(planned=29),
    "where the candidate's run comes from": lambda c: (
        c["provenance"].update(candidate=None),
        c.update(device="", emulated=None),
    ),
    "nothing of where that comes from": lambda c: c["provenance"].update(reference=None),
    "by a baseline, and nothing": lambda c: c.update(baseline=None),
    "candidate's run of ann_small": lambda c: c.update(case="ccnet_small"),
    "aligned at no tier": lambda c: c.update(aligned_tier=""),
    "aligned at bf16 where tf32": lambda c: c.update(aligned_tier="bf16"),
    "leaves the envelope": lambda c: c["loss"].update(deviation=[0.5] * 30),
    "leaves the envelope ": lambda c: c["loss"].update(candidate=["inf"] * 30, deviation=["nan"] * 30),
    "isn't the deviation that it says": scaled,
    "isn't there at every iteration": no_loss,
    "isn't there at every iteration ": lambda c: c.update(loss=None),
}


@pytest.mark.parametrize("said", OF_A_PASS)
def test_a_pass_follows_from_what_it_holds(tmp_path: Path, samples: dict[str, Callable[[], Result]], said: str) -> None:
    with pytest.raises(ResultError, match=r"contradicts itself") as caught:
        read_result(stored(tmp_path, edited(record_of(samples["passing"]()), OF_A_PASS[said])))
    assert said.strip() in str(caught.value.observed)


def test_a_pass_has_no_violated_shadow_ops(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    text = edited(record_of(samples["shadowed"]()), lambda content: content["shadow"][0].update(error=1.0))
    with pytest.raises(ResultError, match=r"contradicts itself"):
        read_result(stored(tmp_path, text))


@pytest.mark.parametrize("status", ["PASS", "INCONCLUSIVE"])
@pytest.mark.parametrize("name", ["failing_by_envelope", "failing_by_shadow", "not_finite"])
def test_a_failure_stays_one(tmp_path: Path, samples: dict[str, Callable[[], Result]], name: str, status: str) -> None:
    with pytest.raises(ResultError, match=r"contradicts itself"):
        read_result(
            stored(tmp_path, edited(record_of(samples[name]()), lambda content: content.update(verdict=status)))
        )


@pytest.mark.parametrize("name", ["passing", "inconclusive", "crashed"])
def test_a_failure_has_a_finding_that_fails(
    tmp_path: Path, samples: dict[str, Callable[[], Result]], name: str
) -> None:
    with pytest.raises(ResultError, match=r"contradicts itself"):
        read_result(
            stored(tmp_path, edited(record_of(samples[name]()), lambda content: content.update(verdict="FAIL")))
        )


@pytest.mark.parametrize("name", ["inconclusive", "crashed", "cut_short"])
def test_what_did_not_pass_does_not(tmp_path: Path, samples: dict[str, Callable[[], Result]], name: str) -> None:
    with pytest.raises(ResultError, match=r"contradicts itself"):
        read_result(
            stored(tmp_path, edited(record_of(samples[name]()), lambda content: content.update(verdict="PASS")))
        )


def test_every_sample_is_read_as_it_is(tmp_path: Path, any_result: Result) -> None:
    text = edited(record_of(any_result), lambda content: None)
    assert read_result(stored(tmp_path, text)).verdict.status is any_result.verdict.status
