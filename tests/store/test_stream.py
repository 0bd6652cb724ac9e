"""The stream of a run: cut anywhere, it is never read as whole."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store.stream import TraceStream, follow_stream, read_stream
from harness.values.errors import TraceError


def write(path, iterations=4, planned=4):
    with TraceStream(path, planned) as stream:
        for i in range(iterations):
            stream.append(
                i, {"loss": 1.0 / (i + 1), "lr": float("nan")}, f"{i:04x}", {"param/w": 2.0} if i % 2 == 0 else None
            )
    return path


def test_what_was_appended_is_read(tmp_path):
    trace = read_stream(write(tmp_path / "s"))
    assert trace.complete
    assert trace.loss.tolist() == [1.0, 0.5, 1 / 3, 0.25]
    assert trace.batches == ("0000", "0001", "0002", "0003")
    assert trace.state.iterations.tolist() == [0, 2]


def test_an_end_before_the_planned_end_is_not_whole(tmp_path):
    assert not read_stream(write(tmp_path / "s", iterations=3)).complete


def test_an_exception_leaves_no_end(tmp_path):
    def fail():
        with TraceStream(tmp_path / "s", 1) as stream:
            stream.append(0, {"loss": 1.0}, "")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not read_stream(tmp_path / "s").complete


@given(st.data())
def test_a_stream_cut_at_any_byte_is_never_whole(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    whole = write(folder / "whole").read_bytes()
    path = folder / "cut"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        trace = read_stream(path)
    except TraceError:
        return
    assert not trace.complete
    assert len(trace) <= 4


def test_following_gives_each_whole_line_once(tmp_path):
    text = write(tmp_path / "s").read_bytes()
    path, seen, offset = tmp_path / "growing", [], 0
    for size in range(0, len(text) + 1, 7):
        path.write_bytes(text[:size])
        lines, offset = follow_stream(path, offset)
        seen += lines
    path.write_bytes(text)
    seen += follow_stream(path, offset)[0]
    assert [line.get("iteration") for line in seen] == [None, 0, 1, 2, 3, None]


@pytest.mark.parametrize(
    "line", ["{", "[1]", "3", '{"iteration": 1}', '{"iteration": 0, "signals": {"loss": "x"}, "batch": ""}']
)
def test_a_broken_line_is_an_error(tmp_path, line):
    header = json.dumps({"schema": 1, "planned": 2})
    first = json.dumps({"iteration": 0, "signals": {"loss": 1.0}, "batch": ""})
    (tmp_path / "s").write_text(f"{header}\n{first}\n{line}\n")
    with pytest.raises(TraceError):
        read_stream(tmp_path / "s")


def test_a_missing_stream_and_another_schema_are_errors(tmp_path):
    with pytest.raises(TraceError, match="can't be read"):
        read_stream(tmp_path / "none")
    (tmp_path / "s").write_text('{"schema": 99, "planned": 2}\n')
    with pytest.raises(TraceError, match="schema"):
        read_stream(tmp_path / "s")
