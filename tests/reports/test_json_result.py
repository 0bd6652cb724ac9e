import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.values.errors import AlignmentError
from harness.values.provenance import Device, Provenance
from harness.values.reproduction import Reproduction
from harness.values.result import Result
from harness.values.shadow import Coverage, EffectivePrecision, Part, ShadowEvidence, ShadowRow
from harness.values.verdict import Agreement, Envelope, Finding, LegacyResult, Outcome, Status, Verdict
from reports import BaselineNote, Record, ResultError, read_result, record_of
from reports.json_result import encode

texts = st.text(st.characters(), max_size=20)
numbers = st.floats(allow_nan=True, allow_infinity=True)
counts = st.integers(0, 2**53)
tables = st.dictionaries(texts, texts, max_size=3)

findings = st.builds(
    Finding,
    rule=texts,
    status=st.sampled_from(Outcome),
    signal=texts,
    message=texts,
    iteration=st.none() | counts,
    observed=st.none() | numbers,
    allowed=st.none() | numbers,
    smallest_detectable=st.none() | numbers,
    tier=texts,
)
provenances = st.builds(
    Provenance,
    case=texts,
    settings=tables,
    weights=texts,
    seed=counts,
    precision=texts,
    world_size=counts,
    global_batch=counts,
    iterations=counts,
    device=st.builds(Device, kind=texts, name=texts, emulated=st.booleans(), profile=texts, fault=texts, build=tables),
    versions=tables,
    environment=tables,
    host=tables,
    commit=texts,
    command=texts,
    started=texts,
)


@st.composite
def envelopes(draw: st.DrawFn) -> dict[str, Envelope]:
    count = draw(st.integers(0, 4))
    series = [np.array(draw(st.lists(numbers, min_size=count, max_size=count)), np.float64) for _ in range(4)]
    return draw(st.sampled_from([{}, {"loss": Envelope("loss", draw(texts), np.arange(count), *series)}]))


shadow_rows = st.builds(
    ShadowRow,
    iteration=counts,
    part=st.sampled_from(Part),
    module=texts,
    op=texts,
    tensor=texts,
    error=numbers,
    allowed=numbers,
    projection=numbers,
    allowed_projection=numbers,
    calls=counts,
)
evidences = st.builds(
    ShadowEvidence,
    iterations=st.lists(counts, max_size=3).map(tuple),
    tier=texts,
    rows=st.lists(shadow_rows, max_size=4).map(tuple),
    precisions=st.lists(
        st.builds(EffectivePrecision, family=texts, bits=numbers, expected=counts, calls=counts), max_size=3
    ).map(tuple),
    coverage=st.builds(
        Coverage,
        calls=st.dictionaries(texts, counts, max_size=3),
        checked=st.dictionaries(texts, counts, max_size=3),
        skipped=tables,
        fallen_back=st.lists(texts, max_size=2).map(tuple),
    ),
    left_out=counts,
)

records = st.builds(
    Record,
    verdict=st.builds(
        Verdict,
        case=texts,
        status=st.sampled_from(Status),
        reason=texts,
        findings=st.lists(findings, max_size=3).map(tuple),
        agreements=st.lists(
            st.builds(
                Agreement, what=texts, reference=texts, candidate=texts, required=st.booleans(), agrees=st.booleans()
            ),
            max_size=2,
        ).map(tuple),
        legacy=st.none()
        | st.builds(
            LegacyResult,
            mean_relative_error=numbers,
            mean_absolute_error=numbers,
            verdict=texts,
            lines=st.lists(texts, max_size=4).map(tuple),
        ),
        aligned_tier=texts,
        demanded_tier=texts,
        envelopes=envelopes(),
        shadow=st.none() | evidences,
    ),
    candidate=st.none() | provenances,
    reference=st.none() | provenances,
    baseline=st.none()
    | st.builds(
        BaselineNote, reference=texts, recorded=texts, reason=texts, runs=st.dictionaries(texts, counts, max_size=2)
    ),
    planned=st.none() | counts,
    done=counts,
    seconds=numbers,
    command=texts,
    output=texts,
    reproductions=st.lists(
        st.builds(Reproduction, counts, counts, texts, texts, texts, texts, texts, texts), max_size=2
    ).map(tuple),
)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def stored(folder: Path, content: str | bytes) -> Path:
    path = folder / "result.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored")


@settings(max_examples=60, deadline=None)
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

    assert content["schema"] == 1
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


def test_a_half_written_file_is_refused_wherever_it_ends(
    tmp_path: Path, samples: dict[str, Callable[[], Result]]
) -> None:
    whole = encode(record_of(samples["crashed"]())).encode()

    for end in range(len(whole) - 2):  # the last line feed may be missing, the last brace may not
        with pytest.raises(ResultError):
            read_result(stored(tmp_path, whole[:end]))


def test_every_field_is_needed(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    whole = json.loads(encode(record_of(samples["passing"]())))

    for name in whole.keys() - {"shadow", "shadow_ops", "reproductions"}:  # younger than the first results
        with pytest.raises(ResultError, match=r"missing"):
            read_result(stored(tmp_path, json.dumps({key: value for key, value in whole.items() if key != name})))


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"schema": True},
        {"verdict": "pass"},
        {"verdict": None},
        {"emulated": False},
        {"emulated": None},
        {"device": "sdaa"},
        {"seconds": "3"},
        {"seconds": True},
        {"findings": {}},
        {"findings": [1]},
        {"findings": [{"rule": "envelope"}]},
        {"iterations": {"planned": 30, "done": -1}},
        {"iterations": {"planned": 30.0, "done": 30}},
        {"provenance": {"reference": None, "candidate": {}}},
        {"provenance": {"reference": None, "candidate": None}},
        {"legacy": {"mean_relative_error": None, "mean_absolute_error": 0, "verdict": "pass", "lines": []}},
        {"loss": {"tier": "", "iterations": [0], "center": [], "allowed": [], "candidate": [], "deviation": []}},
    ],
    ids=repr,
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, samples: dict[str, Callable[[], Result]], changes: dict[str, Any]
) -> None:
    whole = json.loads(encode(record_of(samples["passing"]())))
    assert whole["emulated"] is True

    with pytest.raises(ResultError):
        read_result(stored(tmp_path, json.dumps(whole | changes)))


def test_an_unknown_outcome_is_refused(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    whole = json.loads(encode(record_of(samples["passing"]())))
    whole["findings"][0]["status"] = "PASS"

    with pytest.raises(ResultError, match=r"unknown status"):
        read_result(stored(tmp_path, json.dumps(whole)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b'{"schema": NaN}',
        b'{"schema": Infinity}',
        b'{"schema": 1e999}',
        b'{"schema": 1, "schema": 1}',
        b'{"schema": ' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda content: repr(content[:24]),
)
def test_what_is_no_strict_json_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ResultError):
        read_result(stored(tmp_path, content))


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ('"seconds": 37.4', '"seconds": NaN'),
        ('"seconds": 37.4', '"seconds": Infinity'),
        ('"seconds": 37.4', '"seconds": 1e999'),
        ('"seconds": 37.4', '"seconds": 37.4, "seconds": 1'),
        ('"seconds": 37.4', '"seconds": 37.4,'),
    ],
)
def test_one_slip_in_a_whole_file_is_refused(
    tmp_path: Path, samples: dict[str, Callable[[], Result]], written: str, instead: str
) -> None:
    whole = encode(record_of(samples["passing"]()))
    assert read_result(stored(tmp_path, whole)).seconds == 37.4
    assert whole.count(written) == 1

    with pytest.raises(ResultError, match=r"half-written or no JSON"):
        read_result(stored(tmp_path, whole.replace(written, instead)))


def test_what_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    with path.open("wb") as file:
        file.truncate(2**31)

    with pytest.raises(ResultError, match=r"too large"):
        read_result(path)


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AlignmentError):
        read_result(tmp_path / name)


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


def test_a_result_from_before_shadow_ops_can_be_read(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    whole = json.loads(encode(record_of(samples["passing"]())))
    older = {key: value for key, value in whole.items() if key not in {"shadow", "shadow_ops"}}

    assert read_result(stored(tmp_path, json.dumps(older))).verdict.shadow is None


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
    whole = json.loads(encode(record_of(samples["failing_by_shadow"]())))
    read_result(stored(tmp_path, json.dumps(whole)))
    change(whole)

    with pytest.raises(ResultError):
        read_result(stored(tmp_path, json.dumps(whole)))


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
