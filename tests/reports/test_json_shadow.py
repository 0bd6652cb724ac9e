"""What shadow ops say, in result.json: read back or refused, and the worst of many rows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.values.result import Result
from reports import ResultError, read_result, record_of
from tests.reports.result_files import edited, stored


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole.pop("shadow"),
        lambda whole: whole.pop("shadow_ops"),
        lambda whole: whole.update(shadow_ops=None),
        lambda whole: whole.update(shadow=None),
        lambda whole: whole["shadow"][0].update(part="sideward"),
        lambda whole: whole["shadow"][0].update(error=None),
        lambda whole: whole["shadow_ops"]["coverage"].update(rate=1.0),
        lambda whole: whole["shadow_ops"].pop("rows_left_out"),
    ],
)
def test_shadow_ops_that_contradict_themselves_are_refused(
    tmp_path: Path, samples: dict[str, Callable[[], Result]], change: Callable[[Any], Any]
) -> None:
    record = record_of(samples["failing_by_shadow"]())
    read_result(stored(tmp_path, edited(record, lambda whole: None)))

    with pytest.raises(ResultError):
        read_result(stored(tmp_path, edited(record, change)))


def test_the_worst_of_many_rows_are_kept_and_the_others_counted(samples: dict[str, Callable[[], Result]]) -> None:
    result = samples["shadowed"]()
    assert result.verdict.shadow is not None
    row = result.verdict.shadow.rows[1]
    near = [replace(row, tensor=f"output {at}", error=at * 1e-7, projection=0.0) for at in range(2000)]
    bad = [replace(row, tensor=f"bad {at}", error=float("nan")) for at in range(5)]
    rows = (*near[:1000], *bad, *near[1000:])
    evidence = replace(result.verdict.shadow, rows=rows)

    kept = record_of(replace(result, verdict=replace(result.verdict, shadow=evidence))).verdict.shadow

    assert kept is not None
    assert len(kept.rows) == 1000
    assert kept.left_out == 1005
    assert [row.tensor for row in kept.violations] == [f"bad {at}" for at in range(5)]
    assert {row.tensor for row in kept.rows} - {f"bad {at}" for at in range(5)} == {
        f"output {at}" for at in range(1005, 2000)
    }
    assert [rows.index(row) for row in kept.rows] == sorted(rows.index(row) for row in kept.rows)


def test_every_violation_is_kept_however_many_there_are(samples: dict[str, Callable[[], Result]]) -> None:
    result = samples["shadowed"]()
    assert result.verdict.shadow is not None
    row = result.verdict.shadow.rows[1]
    rows = tuple(replace(row, tensor=f"output {at}", error=1.0 if at % 2 else 0.0) for at in range(3000))

    shadow = replace(result.verdict.shadow, rows=rows)
    kept = record_of(replace(result, verdict=replace(result.verdict, shadow=shadow))).verdict.shadow

    assert kept is not None
    assert len(kept.violations) == len(kept.rows) == 1500
    assert kept.left_out == 1500
