"""Shadow checks on disk."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.evidence.unchecked import Unchecked, reasons_of
from harness.shadow.files.check_stream import ShadowStream, read_shadow
from harness.values.errors import RunError

NUMBERS = st.floats(allow_nan=False)
CHECKS = st.builds(
    ShadowCheck,
    iteration=st.integers(0, 1000),
    part=st.sampled_from(Part),
    module=st.text(max_size=20),
    op=st.text(max_size=20),
    tensor=st.text(max_size=20),
    call=st.integers(-1, 10_000),
    dtype=st.sampled_from(["float32", "int64"]),
    shape=st.lists(st.integers(0, 100), max_size=5).map(tuple),
    contiguous=st.booleans(),
    error=NUMBERS,
    projection=NUMBERS,
    scale=NUMBERS,
    along=NUMBERS,
    terms=st.floats(0, 1e300),
    spread=NUMBERS,
    operand=st.integers(0, 52),
)


def write(path, checks, iteration=0):
    with ShadowStream(path, "tf32") as stream:
        stream.append(iteration, checks, {"mm": 2}, {"mm": 1}, {"mm": "too large"}, {"mm"}, {"ASGD": 3})


@given(st.lists(CHECKS, max_size=5))
def test_what_was_written_comes_back_to_the_bit(tmp_path_factory, checks):
    path = tmp_path_factory.mktemp("shadow") / "shadow.0.jsonl"
    write(path, checks)
    record = read_shadow([path])
    assert record.checks == tuple(checks)
    assert record.tier == "tf32"
    assert record.coverage.programs == {"ASGD": 3}
    assert record.coverage.rate == 1 / 5
    assert record.coverage.skipped == {"mm": "too large"}
    assert record.coverage.fallen_back == ("mm",)


@given(
    st.lists(
        st.builds(Unchecked, st.just(3), st.integers(0, 9999), *[st.text(max_size=9)] * 3),
        max_size=6,
    )
)
def test_calls_that_were_not_checked_come_back_each_with_its_place(tmp_path_factory, unchecked):
    path = tmp_path_factory.mktemp("shadow") / "shadow.0.jsonl"
    with ShadowStream(path, "tf32") as stream:
        stream.append(3, [], {"mm": 2}, {}, reasons_of(unchecked), unchecked=unchecked)
    record = read_shadow([path])
    assert record.unchecked == tuple(unchecked)
    assert sum(sum(modules.values()) for modules in record.coverage.unchecked.values()) == len(unchecked)
    assert set(record.coverage.skipped) == {call.op for call in unchecked}


def test_calls_of_all_iterations_and_processes_are_read_together(tmp_path):
    for rank, why in enumerate(("too large", "not drawn")):
        with ShadowStream(tmp_path / f"shadow.{rank}.jsonl", "tf32") as stream:
            for iteration in (0, 1):
                calls = [Unchecked(iteration, 7, "mm", "head", why)]
                stream.append(iteration, [], {"mm": 2}, {"mm": 1}, reasons_of(calls), unchecked=calls)
    record = read_shadow(sorted(tmp_path.iterdir()))
    assert record.coverage.unchecked == {"mm": {"head": 4}}
    assert record.coverage.skipped == {"mm": "too large; not drawn"}
    assert [(call.iteration, call.why) for call in record.unchecked] == [
        (0, "too large"),
        (1, "too large"),
        (0, "not drawn"),
        (1, "not drawn"),
    ]


def test_of_many_reasons_the_first_few_are_told():
    calls = [Unchecked(0, number, "mm", "", f"takes {number} GiB") for number in range(7)]
    assert reasons_of(calls) == {
        "mm": "takes 0 GiB; takes 1 GiB; takes 2 GiB; 4 further reasons in the run's shadow checks"
    }


def test_a_nan_comes_back(tmp_path):
    check = ShadowCheck(0, Part.FORWARD, "", "mm", "output", 0, "float32", (1,), True, math.nan, math.inf)
    write(tmp_path / "a", [check])
    (found,) = read_shadow([tmp_path / "a"]).checks
    assert math.isnan(found.error)
    assert found.projection == math.inf


def test_processes_are_read_together(tmp_path):
    for rank in range(2):
        write(tmp_path / f"shadow.{rank}.jsonl", [], iteration=3)
    record = read_shadow(sorted(tmp_path.iterdir()))
    assert record.iterations == (3,)
    assert record.coverage.calls == {"mm": 4}


def test_a_torn_last_line_is_left_out(tmp_path):
    path = tmp_path / "a"
    write(path, [])
    path.write_text(path.read_text() + '{"iteration": 9, "chec')
    assert read_shadow([path]).iterations == (0,)


@pytest.mark.parametrize("text", ["", "{}\n", "[]\n", "no json\n", '{"schema": 99, "fields": []}\n'])
def test_something_else_is_refused(tmp_path, text):
    path = tmp_path / "a"
    path.write_text(text)
    with pytest.raises(RunError):
        read_shadow([path])


def test_a_line_that_lacks_a_value_is_refused(tmp_path):
    path = tmp_path / "a"
    write(path, [])
    header, _, _ = path.read_text().splitlines()
    path.write_text(f'{header}\n{{"iteration": 0}}\n')
    with pytest.raises(RunError, match="missing"):
        read_shadow([path])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RunError):
        read_shadow([tmp_path / "nothing"])
