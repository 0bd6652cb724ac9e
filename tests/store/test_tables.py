"""Traces and state tables: what is written is what is read, to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.store.tables import parse_state, parse_trace, render_state, render_trace
from harness.values.errors import TraceError
from harness.values.trace import StateTable, Trace

NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12).filter(
    lambda name: name not in {"iteration", "batch", "loss", "tensor"}
)


@st.composite
def traces(draw):
    length = draw(st.integers(0, 6))
    names = ["loss", *draw(st.lists(NAMES, unique=True, max_size=4))]
    iterations = sorted(draw(st.sets(st.integers(0, 10**6), min_size=length, max_size=length)))
    signals = {name: np.array(draw(st.lists(NUMBERS, min_size=length, max_size=length)), dtype=float) for name in names}
    batches = draw(st.lists(st.text("0123456789abcdef", max_size=32), min_size=length, max_size=length))
    recorded = draw(st.booleans())
    return Trace(np.array(iterations, dtype=np.int64), signals, length, True, tuple(batches) if recorded else ())


def same(left, right):
    return left.tobytes() == np.asarray(right).tobytes() or np.array_equal(left, right, equal_nan=True)


@given(traces())
def test_a_trace_round_trips(trace):
    read = parse_trace(render_trace(trace), "x", planned=trace.planned, complete=True)
    assert read.iterations.tolist() == trace.iterations.tolist()
    assert list(read.signals) == list(trace.signals)
    assert all(same(read.signals[name], trace.signals[name]) for name in trace.signals)
    assert read.batches == trace.batches
    assert read.complete


@given(
    st.lists(NAMES, unique=True, max_size=5), st.sets(st.integers(0, 99), max_size=4), st.randoms(use_true_random=False)
)
def test_a_state_table_round_trips(names, iterations, random):
    values = np.array([[random.uniform(-1e9, 1e9) for _ in names] for _ in iterations]).reshape(
        len(iterations), len(names)
    )
    table = StateTable(np.array(sorted(iterations), dtype=np.int64), tuple(names), values)
    read = parse_state(render_state(table), "x")
    assert read.names == table.names
    assert read.values.tolist() == table.values.tolist()
    assert read.iterations.tolist() == table.iterations.tolist()


@given(traces(), st.data())
def test_a_text_that_is_cut_is_refused_or_says_so(trace, data):
    text = render_trace(trace)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    try:
        read = parse_trace(cut, "x", planned=trace.planned, complete=True)
    except TraceError:
        return
    assert not read.complete


@pytest.mark.parametrize(
    "text",
    [
        "",
        "iteration,loss\n0,1.0\n1",
        "iteration,loss\n0,1.0,2.0\n",
        "iteration,loss\n0,one\n",
        "iteration,loss\n1,1.0\n0,1.0\n",
        "iteration,loss\n-1,1.0\n",
        "iteration,loss,loss\n0,1.0,1.0\n",
        "iteration,lr\n0,1.0\n",
        "step,loss\n0,1.0\n",
        "iteration,loss\n٣,1.0\n",
    ],
)
def test_what_is_no_trace_is_a_trace_error(text):
    with pytest.raises(TraceError):
        parse_trace(text, "x", planned=1, complete=True)
