import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from harness.values.result import Result
from reports import Record, read_result, record_of
from reports.results.json_result import encode
from tests.reports.drawn_records import records
from tests.reports.result_files import stored


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored")


@settings(max_examples=60)
@given(record=records)
def test_a_record_comes_back_to_the_bit(folder: Path, record: Record) -> None:
    text = encode(record)
    json.loads(text, parse_constant=refuse)

    back = read_result(stored(folder, text))

    for name in (
        "candidate",
        "reference",
        "baseline",
        "planned",
        "done",
        "command",
        "output",
        "device",
        "emulated",
        "reproductions",
        "terms",
        "invocation",
    ):
        assert getattr(back, name) == getattr(record, name)
    assert repr(back.seconds) == repr(record.seconds)
    for name in (
        "case",
        "status",
        "reason",
        "findings",
        "agreements",
        "legacy",
        "aligned_tier",
        "demanded_tier",
        "shadow",
    ):
        assert repr(getattr(back.verdict, name)) == repr(getattr(record.verdict, name))
    assert encode(back) == text


def test_it_holds_what_readers_were_promised(any_result: Result) -> None:
    content = json.loads(encode(record_of(any_result)))

    assert content["schema"] == 4
    assert content["case"] == any_result.case
    assert content["verdict"] == any_result.verdict.status.value
    assert content["reason"] == any_result.verdict.reason
    assert len(content["findings"]) == len(any_result.verdict.findings)
    assert set(content["iterations"]) == {"planned", "done"}
    assert set(content["provenance"]) == {"reference", "candidate"}
    for finding in content["findings"]:
        promised = {"rule", "status", "signal", "iteration", "observed", "allowed", "smallest_detectable", "tier"}
        assert promised <= set(finding)
    if any_result.verdict.legacy is not None:
        assert set(content["legacy"]) == {"mean_relative_error", "mean_absolute_error", "verdict", "lines"}
    expected = None if any_result.candidate is None else any_result.emulated
    assert content["emulated"] is expected


def test_what_is_not_finite_is_a_word(samples: dict[str, Callable[[], Result]]) -> None:
    content = json.loads(encode(record_of(samples["not_finite"]())))

    assert content["findings"][0]["observed"] == "inf"
    assert content["legacy"]["mean_relative_error"] == "nan"
    assert "nan" in content["loss"]["candidate"]


def test_a_long_trace_leaves_a_thumbnail(samples: dict[str, Callable[[], Result]]) -> None:
    result = samples["passing"]()
    loss = result.verdict.envelopes["loss"]
    long = np.tile(loss.center, 100)
    drawn = replace(loss, iterations=np.arange(3000), center=long, allowed=long, candidate=long, deviation=long)

    kept = record_of(replace(result, verdict=replace(result.verdict, envelopes={"loss": drawn}))).verdict.envelopes

    assert len(kept["loss"].iterations) == 200
    assert kept["loss"].iterations[0] == 0
    assert kept["loss"].iterations[-1] == 2999
    assert math.isclose(kept["loss"].candidate[-1], long[-1])
