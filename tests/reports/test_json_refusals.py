"""Results that are half-written, contradict themselves, or are no JSON: none is read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.values.errors import AlignmentError
from harness.values.result import Result
from reports import ResultError, read_result, record_of
from reports.results.json_result import encode
from tests.reports.result_files import edited, stored


def test_a_half_written_file_is_refused_wherever_it_ends(
    tmp_path: Path, samples: dict[str, Callable[[], Result]]
) -> None:
    whole = encode(record_of(samples["crashed"]())).encode()

    for end in range(len(whole) - 2):  # the last line feed may be missing, the last brace may not
        with pytest.raises(ResultError):
            read_result(stored(tmp_path, whole[:end]))


def test_every_field_is_needed(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    record = record_of(samples["passing"]())

    for name in json.loads(encode(record)).keys() - {"schema", "checksum"}:
        with pytest.raises(ResultError, match=r"missing"):
            read_result(stored(tmp_path, edited(record, lambda content, name=name: content.pop(name))))


def test_a_result_of_another_schema_says_what_to_do(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    whole = json.loads(encode(record_of(samples["passing"]())))
    for schema in (1, 2, 3, True, 4.0, "4", None):
        with pytest.raises(ResultError, match=r"another schema") as caught:
            read_result(stored(tmp_path, json.dumps(whole | {"schema": schema})))
        assert "align verify" in str(caught.value.hint)


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_a_changed_character_is_refused(tmp_path: Path, samples: dict[str, Callable[[], Result]], at: float) -> None:
    text = encode(record_of(samples["passing"]()))
    digit = next(place for place, character in enumerate(text) if character.isdigit() and place > at * len(text))
    changed = text[:digit] + str((int(text[digit]) + 1) % 10) + text[digit + 1 :]

    with pytest.raises(ResultError, match=r"was changed or is cut short"):
        read_result(stored(tmp_path, changed))
    with pytest.raises(ResultError, match=r"was changed or is cut short"):
        read_result(stored(tmp_path, json.dumps(json.loads(text) | {"evil": "x"})))


@pytest.mark.parametrize(
    "changes",
    [
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
    record = record_of(samples["passing"]())
    read_result(stored(tmp_path, edited(record, lambda content: None)))

    with pytest.raises(ResultError):
        read_result(stored(tmp_path, edited(record, lambda content: content.update(changes))))


def test_an_unknown_outcome_is_refused(tmp_path: Path, samples: dict[str, Callable[[], Result]]) -> None:
    record = record_of(samples["passing"]())

    with pytest.raises(ResultError, match=r"another type"):
        read_result(stored(tmp_path, edited(record, lambda content: content["findings"][0].update(status="PASS"))))


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

    with pytest.raises(ResultError):
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
