"""The stream of a run: cut anywhere, it is never read as whole."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.rules.finiteness import judge_finiteness
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
    assert [getattr(line, "iteration", None) for line in seen] == [None, 0, 1, 2, 3, None]


@pytest.mark.parametrize(
    "line", ["{", "[1]", "3", '{"iteration": 1}', '{"iteration": 0, "signals": {"loss": "x"}, "batch": ""}']
)
def test_a_broken_line_is_an_error(tmp_path, line):
    header = json.dumps({"schema": 1, "planned": 2})
    first = json.dumps({"iteration": 0, "signals": {"loss": 1.0}, "batch": ""})
    (tmp_path / "s").write_text(f"{header}\n{first}\n{line}\n")
    with pytest.raises(TraceError):
        read_stream(tmp_path / "s")


@pytest.mark.parametrize(
    "second",
    [
        {"iteration": 0.9},
        {"iteration": True},
        {"iteration": 7},
        {"iteration": 0},
        {"iteration": 2**64},
        {"signals": {"loss": None}},
        {"signals": {"loss": "1.5"}},
        {"signals": {"loss": 10**400}},
        {"signals": {}},
        {"batch": None},
        {"batch": -1},
        {"state": [1.0]},
        {"more": 1},
        {"groups": {"loss": [0]}},
        {"groups": {"lr.1": [0]}},
    ],
)
def test_a_value_of_another_type_is_an_error_with_its_line(tmp_path, second):
    row = {"iteration": 1, "signals": {"loss": 1.0}, "batch": "a"}
    lines = [{"schema": 1, "planned": 2}, {**row, "iteration": 0}, {**row, **second}]
    (tmp_path / "s").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(TraceError) as caught:
        read_stream(tmp_path / "s")
    assert str(tmp_path / "s") in str(caught.value.where)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b'{"schema":1,"planned":3}', b'{"planned":3}\n', b"\xff\n", b"[" * 10**5]
)
def test_what_is_no_stream_is_an_error(tmp_path, content):
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(TraceError):
        read_stream(tmp_path / "s")
    if content.endswith(b"\n"):
        with pytest.raises(TraceError):
            follow_stream(tmp_path / "s", 0)


def test_a_repeated_name_is_an_error(tmp_path):
    head, row = '{"schema":1,"planned":1}', '{"iteration":0,"signals":{"loss":1,"loss":2},"batch":"a"}'
    (tmp_path / "s").write_text(f"{head}\n{row}\n")
    with pytest.raises(TraceError, match="twice"):
        read_stream(tmp_path / "s")


def test_every_spelling_of_what_is_not_finite_is_read(tmp_path):
    lines = ['{"schema":1,"planned":1}', '{"iteration":0,"signals":{"loss":NaN,"a":-Infinity,"b":"inf"},"batch":"a"}']
    (tmp_path / "s").write_text("\n".join([*lines, '{"end":true}', ""]))
    trace = read_stream(tmp_path / "s")
    assert trace.complete
    assert [repr(float(values[0])) for values in trace.signals.values()] == ["nan", "-inf", "inf"]
    assert not trace.missing


def test_a_component_that_begins_late_or_ends_early_is_kept_and_its_gaps_are_no_nan(tmp_path):
    with TraceStream(tmp_path / "s", 4) as stream:
        stream.append(0, {"loss": 1.0, "a.loss_x": 1.0}, "")
        stream.append(1, {"loss": 1.0, "a.loss_x": float("nan")}, "")
        stream.append(2, {"loss": 1.0, "b.loss_y": float("nan")}, "")
        stream.append(3, {"loss": 1.0, "b.loss_y": 2.0}, "")
    trace = read_stream(tmp_path / "s")
    assert trace.complete
    assert list(trace.signals) == ["loss", "a.loss_x", "b.loss_y"]
    assert trace.has_value("a.loss_x").tolist() == [True, True, False, False]
    assert trace.has_value("b.loss_y").tolist() == [False, False, True, True]
    assert trace.has_value("c").tolist() == [False] * 4
    assert [str(finding.signal) for finding in judge_finiteness(trace)] == ["a.loss_x", "b.loss_y"]
    head = trace.head(2)
    assert list(head.signals) == ["loss", "a.loss_x"]
    assert not head.missing


def test_groups_that_part_have_the_rates_that_they_had_together(tmp_path):
    with TraceStream(tmp_path / "s", 3) as stream:
        stream.append(0, {"loss": 1.0, "lr": 0.1, "lr.1": 0.2}, "", groups={"lr": (0, 2), "lr.1": (1,)})
        stream.append(1, {"loss": 1.0, "lr": 0.3, "lr.1": 0.3}, "")
        stream.append(
            2, {"loss": 1.0, "lr": 0.4, "lr.1": 0.3, "lr.2": 0.5}, "", groups={"lr": (0,), "lr.1": (1,), "lr.2": (2,)}
        )
    trace = read_stream(tmp_path / "s")
    assert not trace.missing
    assert trace.signals["lr.2"].tolist() == [0.1, 0.3, 0.5]
    with TraceStream(tmp_path / "s", 3, resumed=True) as stream:
        stream.keep_before(2)
        assert stream.groups == {"lr": (0, 2), "lr.1": (1,)}


def test_a_norm_that_some_rows_lack_is_missing_there(tmp_path):
    with TraceStream(tmp_path / "s", 2) as stream:
        stream.append(0, {"loss": 1.0}, "", evaluation={"loss/a": 1.0})
        stream.append(1, {"loss": 1.0}, "", evaluation={"loss/a": 1.0, "loss/b": 2.0})
    table = read_stream(tmp_path / "s").evaluation
    assert table.names == ("loss/a", "loss/b")
    assert table.told.tolist() == [[True, False], [True, True]]


def test_a_missing_stream_and_another_schema_are_errors(tmp_path):
    with pytest.raises(TraceError, match="missing"):
        read_stream(tmp_path / "none")
    (tmp_path / "s").write_text('{"schema": 99, "planned": 2}\n')
    with pytest.raises(TraceError, match="schema"):
        read_stream(tmp_path / "s")


def rows(path):
    return [line.get("iteration") for line in map(json.loads, path.read_text().splitlines())]


@given(reached=st.integers(0, 6), torn=st.booleans(), ended=st.booleans(), start=st.integers(0, 6))
def test_a_resumed_stream_keeps_what_lies_before_and_nothing_else(tmp_path_factory, reached, torn, ended, start):
    path = write(tmp_path_factory.mktemp("resumed") / "s", iterations=reached, planned=6)
    text = path.read_text() if ended else path.read_text().rpartition('{"end"')[0]
    path.write_text(text + ('{"iteration": 7, "sig' if torn and not ended else ""))
    before = path.read_bytes()
    with TraceStream(path, 8, resumed=True) as stream:
        assert path.read_bytes() == before
        if start > reached:
            with pytest.raises(TraceError, match=f"{reached} of {start}"):
                stream.keep_before(start)
            return
        stream.keep_before(start)
        for iteration in range(start, 8):
            stream.append(iteration, {"loss": 2.0, "lr": 0.1}, "anew")
    trace = read_stream(path)
    assert rows(path) == [None, *range(8), None]
    assert (trace.planned, trace.complete) == (8, True)
    assert trace.loss.tolist() == [1.0 / (i + 1) for i in range(start)] + [2.0] * (8 - start)


def test_a_resumed_stream_may_have_no_file_yet(tmp_path):
    with TraceStream(tmp_path / "s", 1, resumed=True) as stream:
        stream.keep_before(0)
        stream.append(0, {"loss": 1.0}, "")
    assert read_stream(tmp_path / "s").complete


def test_a_run_that_fails_before_it_goes_on_leaves_the_stream_as_it_was(tmp_path):
    before = write(tmp_path / "s", iterations=3).read_bytes()
    with pytest.raises(KeyError), TraceStream(tmp_path / "s", 4, resumed=True):
        raise KeyError
    assert (tmp_path / "s").read_bytes() == before
