import contextlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.store.decoding import complete_lines, decode_foreign, decode_plain, decode_value, encode_value, read_value
from harness.values.bounds import AtLeastOne, Count, Finite, PlainName
from harness.values.errors import AlignmentError, BaselineError, RunError, TraceError


class Part(str, Enum):
    FORWARD = "forward"
    BACKWARD = "backward"


@dataclass(frozen=True, slots=True)
class Inner:
    error: float
    part: Part = Part.FORWARD
    terms: AtLeastOne = 1.0

    def __post_init__(self) -> None:
        if self.error == 13.0:
            raise ValueError("thirteen")
        if self.error == 14.0:
            raise BaselineError("fourteen")


@dataclass(frozen=True)
class Outer:
    iteration: Count
    bound: Finite = 1.0
    signals: Mapping[str, float] = field(default_factory=dict)
    rows: tuple[Inner, ...] = ()
    pair: tuple[Count, str] | None = None
    note: str | None = None
    maybe: float | None = None
    file: PlainName = "a"


def decode(text: str | bytes, **more: Any) -> Outer:
    return decode_value(text if isinstance(text, bytes) else text.encode(), Outer, "file.json", TraceError, **more)


def test_a_value_comes_back_as_it_was_written() -> None:
    value = Outer(
        3, 0.1, {"loss": math.inf, "lr": -math.inf}, (Inner(1e-300, Part.BACKWARD),), (1, "x"), "é\n", 5e-324, "b.py"
    )
    assert decode(encode_value(value)) == value
    assert decode(encode_value(value, schema=4), schema=4) == value
    assert decode(encode_value(value, indent=None)) == value
    assert encode_value(value, indent=None).count("\n") == 1


@pytest.mark.parametrize("spelled", ["NaN", '"nan"'])
def test_every_spelling_of_nan_is_read(spelled: str) -> None:
    read = decode(
        f'{{"iteration": 0, "signals": {{"loss": {spelled}}}, "rows": [{{"error": {spelled}}}], "maybe": {spelled}}}'
    )
    assert math.isnan(read.signals["loss"])
    assert math.isnan(read.rows[0].error)
    assert read.maybe is not None
    assert math.isnan(read.maybe)


@pytest.mark.parametrize(
    ("spelled", "value"),
    [("Infinity", math.inf), ('"inf"', math.inf), ("-Infinity", -math.inf), ('"-inf"', -math.inf)],
)
def test_every_spelling_of_an_infinity_is_read(spelled: str, value: float) -> None:
    assert decode(f'{{"iteration": 0, "signals": {{"a": 1, "loss": {spelled}}}}}').signals["loss"] == value


def test_numbers_that_are_not_finite_have_one_spelling_and_texts_stay_texts() -> None:
    text = encode_value(Outer(0, signals={"a": math.nan, "b": math.inf, "c": -math.inf}, note="nan"))
    assert json.loads(text)["signals"] == {"a": "nan", "b": "inf", "c": "-inf"}
    assert decode(text).note == "nan"


@pytest.mark.parametrize(
    ("text", "where", "observed"),
    [
        ('{"iteration": 0.9}', "iteration", "0.9"),
        ('{"iteration": 1.0}', "iteration", "1.0"),
        ('{"iteration": true}', "iteration", "True"),
        ('{"iteration": null}', "iteration", "None"),
        ('{"iteration": "0"}', "iteration", "'0'"),
        ('{"iteration": -1}', "iteration", "-1"),
        ('{"iteration": 18446744073709551616}', "iteration", "18446744073709551616"),
        ('{"iteration": 0, "bound": NaN}', "bound", "nan"),
        ('{"iteration": 0, "bound": "inf"}', "bound", "inf"),
        ('{"iteration": 0, "signals": {"a": 1.0, "loss": "1.5"}}', "signals['loss']", "'1.5'"),
        ('{"iteration": 0, "signals": {"a": 1.0, "loss": null}}', "signals['loss']", "None"),
        ('{"iteration": 0, "signals": [1.0]}', "signals", "[1.0]"),
        ('{"iteration": 0, "rows": [{"error": 1.0}, {"error": false}]}', "rows[1].error", "False"),
        ('{"iteration": 0, "rows": [{"error": 1.0, "part": "sideways"}]}', "rows[0].part", "'sideways'"),
        ('{"iteration": 0, "rows": [{"error": 1.0, "terms": 0.0}]}', "rows[0].terms", "0.0"),
        ('{"iteration": 0, "rows": [{"error": 1.0, "terms": NaN}]}', "rows[0].terms", "nan"),
        ('{"iteration": 0, "rows": [{"error": 1.0, "more": 1}]}', "rows[0].more", "1"),
        ('{"iteration": 0, "pair": [1]}', "pair", "[1]"),
        ('{"iteration": 0, "file": "../secret"}', "file", "'../secret'"),
        ('{"iteration": 0, "file": "a\\n"}', "file", "'a\\n'"),
        ('{"iteration": 0, "file": "a."}', "file", "'a.'"),
        ('{"iteration": 0, "unknown": [1]}', "unknown", "[1]"),
        ("[]", "", "[]"),
        ("3", "", "3"),
        ("null", "", "None"),
    ],
)
def test_what_has_another_type_is_refused_with_its_place(text: str, where: str, observed: str) -> None:
    with pytest.raises(TraceError) as caught:
        decode(text, hint="what to run")
    assert caught.value.where == (f"file.json: {where}" if where else "file.json")
    assert caught.value.observed == observed
    assert caught.value.allowed
    assert caught.value.hint == "what to run"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        '{"iteration": 0',
        '{"iteration": 0}}',
        '{"iteration": 1e400}',
        '{"iteration": 0, "bound": -1e999}',
        '{"iteration": 0, "bound": 1' + "0" * 400 + "}",
        '{"iteration": ' + "9" * 5000 + "}",
        '{"iteration": 0, "iteration": 1}',
        '{"iteration": 0, "signals": {"loss": 1.0, "loss": 2.0}}',
        '{"iteration": 0, "note": "\\ud800"}',
        '{"iteration": 0, "signals": {"\\udfff": 1.0}}',
        '{"iteration": 0, "note": "\x01"}',
        "{'iteration': 0}",
        "\ufeff{}",
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 5000 + "]" * 5000,
        '{"iteration": 0, "rows": ' + "[" * 300 + "]" * 300 + "}",
        '"' + '\\"' * 100_000,
        b"\xff\xfe{\x00}\x00",
        b'{"iteration": 0, "note": "\xed\xa0\x80"}',
    ],
)
def test_what_is_no_strict_json_is_a_typed_error(text: str | bytes) -> None:
    with pytest.raises(TraceError, match=r"JSON|nested"):
        decode(text)


def test_foreign_json_may_hold_numbers_of_any_size() -> None:
    read = decode_foreign(b'{"loss": 1e400, "seed": 123456789012345678901234567890, "lr": NaN}')
    assert read["loss"] == math.inf
    assert read["seed"] == 123456789012345678901234567890.0
    assert math.isnan(read["lr"])


@pytest.mark.parametrize("text", [b'{"a": 1, "a": 2}', b"[" * 300 + b"]" * 300, b"[" * 100_000, b'{"a": "\\ud800"}'])
def test_foreign_json_that_cannot_be_taken_is_told_from_no_json(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"twice|nested|surrogate") as caught:
        decode_foreign(text)
    assert not isinstance(caught.value, json.JSONDecodeError)


def test_brackets_in_texts_are_no_nesting() -> None:
    assert decode(json.dumps({"iteration": 0, "note": "[" * 1000})).note == "[" * 1000
    assert decode(json.dumps({"iteration": 0, "note": '\\"[' * 1000})).note == '\\"[' * 1000
    many = {"iteration": 0, "rows": [{"error": 1.0}] * 1000}
    assert len(decode(json.dumps(many)).rows) == 1000


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert decode('{"iteration": 0, "note": "\\ud83d\\ude00"}').note == "\N{GRINNING FACE}"


def test_text_that_no_file_can_hold_is_written_replaced() -> None:
    assert decode(encode_value(Outer(0, note="a\udc80"))).note == "a\N{REPLACEMENT CHARACTER}"


def test_a_missing_field_is_named() -> None:
    with pytest.raises(TraceError, match="missing") as caught:
        decode("{}")
    assert caught.value.allowed == "iteration"


def test_another_schema_is_an_error_of_its_own_and_none_is_the_first() -> None:
    assert decode('{"iteration": 2}', schema=1).iteration == 2
    for text in ('{"schema": 2, "iteration": 0}', '{"schema": true, "iteration": 0}', '{"schema": [], "more": 0}'):
        with pytest.raises(TraceError, match="another schema") as caught:
            decode(text, schema=1)
        assert caught.value.allowed == 1
    with pytest.raises(TraceError, match="another schema"):
        decode('{"iteration": 0}', schema=2)


def test_a_values_own_checks_are_reported() -> None:
    with pytest.raises(TraceError) as caught:
        decode('{"iteration": 0, "rows": [{"error": 13}]}')
    assert "thirteen" in str(caught.value)
    with pytest.raises(BaselineError, match="fourteen"):
        decode('{"iteration": 0, "rows": [{"error": 14}]}')


def test_a_file_is_read_with_a_bound_on_its_size(tmp_path: Any) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(RunError, match="missing"):
        read_value(path, Outer, RunError)
    with pytest.raises(RunError, match="plain file"):
        read_value(tmp_path, Outer, RunError)
    path.write_text(encode_value(Outer(7)), encoding="utf-8")
    assert read_value(path, Outer, RunError).iteration == 7
    with pytest.raises(RunError, match="too large"):
        read_value(path, Outer, RunError, largest=10)


def test_a_line_without_an_end_is_left_out() -> None:
    assert complete_lines(b"") == []
    assert complete_lines(b"{") == []
    assert complete_lines(b"a\n") == [b"a"]
    assert complete_lines(b"a\n\nb\nc") == [b"a", b"", b"b"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(Outer.__dataclass_fields__, json_values)))
@settings(deadline=None)
def test_any_json_is_a_value_or_a_typed_error(document: dict[str, Any]) -> None:
    try:
        value = decode(json.dumps(document))
    except AlignmentError as error:
        str(error).encode()
        return
    assert type(value.iteration) is int
    assert type(value.bound) is float
    assert abs(value.bound) <= sys.float_info.max
    assert all(type(number) is float for number in value.signals.values())


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_plain_values_or_a_typed_error(content: bytes) -> None:
    with contextlib.suppress(TraceError):
        decode_plain(content, "here", TraceError)
