"""Fuzzed and broken logs: a typed error or a stated decision, never another exception, never a silent drop."""

import contextlib
import gzip
import math
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.logs import read_log
from harness.logs.documents import read_document
from harness.logs.gathering import Gathering
from harness.values.errors import LogError
from tests.logs.written_logs import write

relaxed = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])

FRAGMENTS = st.sampled_from(
    [
        *(b"TCAPPDLL ", b"Epoch: 0 ", b"Iteration: 3 ", b"rank : 0 ", b"train.loss : 1.5 ", b"Iter(train) [ 1/4] "),
        *(b"Epoch(train) [1][ 3/9] ", b"loss: 2.0 ", b"loss: nan ", b"=== CUDA ===\n", b"Iteration: " + b"9" * 20),
        *(b"\n", b"\r", b"\r\n", b"\x00", b"\xff\xfe", b"{", b"}", b"[", b",", b'"', b"\x1b[31m", b"loss: 1e999 "),
        *(b'{"loss": 1.0, "step": 3}\n', b"loss,step\n", b"1,2\n", b"iter,loss\n", b"9" * 20),
        *(b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b'{"loss": {"a": {"a": 1}}}\n'),
        b'{"loss": 1' + b"0" * 400 + b"}\n",
    ]
)


def attempt(path):
    with contextlib.suppress(LogError):
        read_log(path)


@given(st.lists(FRAGMENTS, max_size=40).map(b"".join) | st.binary(max_size=300))
@example(b"[rank0]: loss: 1.5 step: 3\n")
@example(b"{'loss': 1.5, 'step': 3}\n")
@relaxed
def test_whatever_is_in_a_file_it_is_read_or_refused(tmp_path, content):
    path = tmp_path / "run.log"
    path.write_bytes(content)
    attempt(path)


@given(st.data())
@relaxed
def test_a_damaged_log_is_read_or_refused(lines, tmp_path, data):
    content = bytearray("".join(lines.tcappdll_wide(i, 4.0 - i / 99) + "\n" for i in range(90)).encode())
    for _ in range(data.draw(st.integers(1, 30))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "run.log"
    path.write_bytes(bytes(content))
    attempt(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"nothing\n" * 50, b"\x7fELF\x00\x01" * 5000, b"loss is going down\n", b"step: 3\nstep: 4\n"],
    ids=["empty", "blank", "no loss", "binary", "no number", "no metric"],
)  # fmt: skip
def test_what_is_no_log_is_refused(tmp_path, content):
    path = tmp_path / "run.log"
    path.write_bytes(content)
    with pytest.raises(LogError) as refused:
        read_log(path)
    assert refused.value.where == path


def test_what_is_not_there_is_refused(tmp_path):
    for path in (tmp_path / "none.log", tmp_path):
        with pytest.raises(LogError):
            read_log(path)


def test_a_torn_archive_is_refused(tmp_path):
    path = tmp_path / "run.log.gz"
    path.write_bytes(gzip.compress(b"loss: 1.5 step: 3\n" * 5000)[:-20])
    with pytest.raises(LogError, match="can't be read"):
        read_log(path)


def test_only_nan_is_a_log_of_nan(lines, tmp_path):
    path = tmp_path / "run.log"
    path.write_text("".join(lines.tcappdll_wide(i, math.nan) + "\n" for i in range(100)))
    log = read_log(path)
    assert len(log) == 100
    assert all(math.isnan(value) for value in log.values)


def test_a_counter_that_restarts_keeps_what_came_last(lines, tmp_path):
    iterations = [*range(80), *range(50, 120)]
    path = tmp_path / "run.log"
    path.write_text("".join(lines.tcappdll_wide(i, float(at)) + "\n" for at, i in enumerate(iterations)))
    log = read_log(path)
    assert log.iterations.tolist() == list(range(120))
    assert log.values.tolist() == [*map(float, range(50)), *map(float, range(80, 150))]
    assert any("goes back 1 time(s), first from 79 to 50" in decision for decision in log.decisions)
    assert any("30 record(s) repeat an iteration, 30 of them" in decision for decision in log.decisions)


def test_a_decreasing_counter_is_put_in_order(lines, tmp_path):
    path = tmp_path / "run.log"
    path.write_text("".join(lines.tcappdll_wide(i, float(i)) + "\n" for i in reversed(range(100))))
    log = read_log(path)
    assert log.values.tolist() == list(map(float, range(100)))
    assert any("goes back 99 time(s)" in decision for decision in log.decisions)


def test_records_that_print_a_metric_twice_are_said(lines, tmp_path):
    path = tmp_path / "run.log"
    path.write_text("TCAPPDLL x - Epoch: 0 Iteration: 0 rank : 0 train.loss : 1.5 train.loss : 2.5\n")
    log = read_log(path)
    assert log.values.tolist() == [1.5]
    assert any("twice with different values" in decision for decision in log.decisions)


def test_rows_that_do_not_fit_are_said(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("iteration,loss\n0,1.5\n1,oops\n2\n3,1.25\n")
    log = read_log(path)
    assert log.iterations.tolist() == [0, 3]
    assert {decision.split(" were")[0] for decision in log.decisions} == {
        "1 cell(s) of loss hold no number and",
        "1 row(s) with another number of cells than the header",
    }


@pytest.mark.parametrize(
    "filler",
    [b"x", b" ", *(pytest.param(one, marks=pytest.mark.slow) for one in (b"[", b"loss ", b"a:", b"1", b"epoch "))],
)
def test_a_line_of_two_megabytes_is_no_trap(lines, tmp_path, filler):
    record = lines.tcappdll_wide(1, 2.5).encode()
    path = tmp_path / "run.log"
    path.write_bytes(b"loss: 3.5 step: 0\n" + filler * (2_000_000 // len(filler)) + b"\nloss: 2.5 step: 1\n")
    started = time.process_time()
    log = read_log(path)
    assert {0: 3.5, 1: 2.5}.items() <= dict(zip(log.iterations.tolist(), log.values.tolist(), strict=True)).items()
    path.write_bytes(record + filler * (2_000_000 // len(filler)) + b"\n")
    assert read_log(path).values.tolist() == [2.5]
    assert time.process_time() - started < 4


@pytest.mark.parametrize(
    "record",
    ["step: {0} loss: 2.5 ", "Iteration: {0} rank: 0 train.loss : 2.5 ", "[rank0]: step {0} loss 2.5 | ", "1 1 1 {0} "],
)
def test_many_records_on_a_line_take_time_in_proportion(tmp_path, record):
    """220 records on one line once took 13 s: four times as many take at most eight times as long."""
    path, times = tmp_path / "run.log", []
    for count in (1000, 4000):
        path.write_text("loss: 1.5 step: 0\n" + "".join(record.format(i) for i in range(count)) + "\n")
        started = time.process_time()
        attempt(path)
        times.append(time.process_time() - started)
    assert times[1] < max(8 * times[0], 1.0)


def test_rows_that_are_no_strict_json_are_left_out_and_said(tmp_path):
    rows = [f'{{"loss": {3 - i / 100}, "step": {i}}}' for i in range(100)]
    rows[30] = '{"loss": 1.0, "loss": 2.0, "step": 30}'
    rows[31] = '{"loss": 1.0, "step": 31, "tree": ' + "[" * 300 + "]" * 300 + "}"
    rows[32] = '{"loss": 1.0, "step": 32, "note": "\\ud800"}'
    rows[33] = '{"loss": 1e400, "step": 33}'
    log = read_log(write(tmp_path / "run.jsonl", "\n".join(rows).encode()))
    assert log.iterations.tolist() == [i for i in range(100) if i not in (30, 31, 32)]
    assert log.values[log.iterations == 33].tolist() == [float("inf")]
    assert any(said.startswith("3 JSON row(s) that hold a name twice") for said in log.decisions)


def test_a_document_with_a_name_twice_is_refused(tmp_path):
    document = b'{\n "log_history": [\n  {"loss": 1.0, "step": 1, "loss": 2.0}\n ]\n}\n'
    with pytest.raises(LogError, match="can't be taken") as caught:
        read_log(write(tmp_path / "trainer_state.json", document))
    assert "'loss' occurs twice" in caught.value.observed


LOGS_WITH_BRACKETS = [b"[2026-08-18 10:00:00] step: 1 loss: 2.5", b"[titan] step: 1", b"{'loss': 2.5}", b"[1] a"]


@pytest.mark.parametrize("line", LOGS_WITH_BRACKETS)
def test_a_log_that_begins_with_a_bracket_is_not_held_whole(line):
    pieces = iter([(line + b"\n") * 100] * 50)
    kind, kept = read_document(pieces, Gathering(keep=bool), "run.log")
    assert not kind
    assert len(kept) == 1
    assert len(list(pieces)) == 49


def test_a_document_is_read_wherever_a_piece_of_it_ends():
    text = b"[" + b",\n".join(b'{"loss": %d.5, "step": %d, "note": "%s"}' % (i, i, b"x" * 50) for i in range(40)) + b"]"
    for cut in range(1, len(text), 7):
        kind, _ = read_document(iter([text[:cut], text[cut:]]), Gathering(keep=bool), "rows.json")
        assert kind == "JSON document"
