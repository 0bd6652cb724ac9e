"""A run as far as it has got: what its lines say before it ends."""

import pytest

from harness.running.folder import PROVENANCE, STREAM
from harness.running.partial import PartialRun
from harness.store.provenance_file import write_provenance
from harness.store.stream import TraceStream, follow_stream, read_stream
from tests.healthy_runs import make_provenance


@pytest.fixture
def folder(tmp_path):
    write_provenance(tmp_path / PROVENANCE, make_provenance())
    return tmp_path


def write(stream, iterations):
    for iteration in iterations:
        state = {"param/a": 1.0} if iteration in {0, 1, 2, 4} else None
        stream.append(iteration, {"loss": 2.0 - iteration / 10, "lr": 0.1}, f"{iteration:032x}", state)


def test_it_is_what_the_file_says_after_each_iteration(folder):
    partial, offset = PartialRun(folder), 0
    with TraceStream(folder / STREAM, 8) as stream:
        for iteration in range(8):
            write(stream, [iteration])
            lines, offset = follow_stream(folder / STREAM, offset)
            partial.add(lines)
            trace, provenance = partial.read()
            kept = read_stream(folder / STREAM)
            assert provenance.case == "made_up"
            assert (len(trace), trace.planned, trace.complete) == (iteration + 1, 8, False)
            assert trace.loss.tolist() == kept.loss.tolist()
            assert trace.batches == kept.batches
            assert trace.state.iterations.tolist() == kept.state.iterations.tolist()


def test_before_the_first_iteration_it_says_where_it_comes_from(folder):
    partial = PartialRun(folder)
    assert partial.read() is None
    with TraceStream(folder / STREAM, 8):
        partial.add(follow_stream(folder / STREAM, 0)[0])
        trace, provenance = partial.read()
        assert (len(trace), trace.planned) == (0, 8)
        assert provenance.case == "made_up"


@pytest.mark.parametrize(
    "line", [{"iteration": 1, "signals": {"lr": 0.1}, "batch": ""}, {"iteration": 0, "signals": {}, "batch": ""}, {}]
)
def test_what_cannot_be_read_decides_nothing(folder, line):
    with TraceStream(folder / STREAM, 8) as stream:
        write(stream, [0])
        partial = PartialRun(folder)
        partial.add([*follow_stream(folder / STREAM, 0)[0], line])
    assert partial.read() is None


def test_without_provenance_nothing_is_comparable(folder):
    (folder / PROVENANCE).unlink()
    partial = PartialRun(folder)
    with TraceStream(folder / STREAM, 8) as stream:
        write(stream, [0, 1])
        partial.add(follow_stream(folder / STREAM, 0)[0])
    assert partial.read() is None
