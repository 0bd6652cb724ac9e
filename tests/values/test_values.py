"""Values refuse what contradicts itself, and errors say what, where, observed, allowed and what to do."""

import dataclasses
import pickle

import numpy as np
import pytest

from harness.values import errors
from harness.values.case import Case
from harness.values.errors import AlignmentError, BaselineError, CaseError, TraceError
from harness.values.trace import StateTable, Trace
from tests.healthy_runs import make_baseline, make_trace


def test_an_error_says_all_that_it_knows_and_survives_a_process_boundary():
    error = BaselineError("it is broken", where="a/b.csv", observed=3, allowed=4, hint="mend it")
    assert str(error).splitlines() == [
        "it is broken",
        "  where:    a/b.csv",
        "  observed: 3",
        "  allowed:  4",
        "  hint:     mend it",
    ]
    back = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert type(back) is BaselineError
    assert str(back) == str(error)


def test_the_tree_in_the_docstring_is_the_tree():
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), AlignmentError)
        assert name in errors.__doc__


def trace(iterations, **signals):
    return Trace(
        np.array(iterations, dtype=np.int64), {k: np.array(v, dtype=float) for k, v in signals.items()}, 3, True
    )


@pytest.mark.parametrize("iterations", [[0, 0, 1], [2, 1, 3], [1, 0, -1]])
def test_iterations_must_increase(iterations):
    with pytest.raises(TraceError, match="do not increase"):
        trace(iterations, loss=[1, 2, 3])


def test_a_trace_needs_a_loss_and_signals_of_its_length():
    with pytest.raises(TraceError, match="no loss"):
        trace([0, 1], lr=[1, 2])
    with pytest.raises(TraceError, match="another length"):
        trace([0, 1], loss=[1, 2], lr=[1, 2, 3])


def test_a_state_table_fits_its_names():
    with pytest.raises(TraceError, match="do not fit"):
        StateTable(np.arange(2), ("a",), np.zeros((2, 2)))
    with pytest.raises(TraceError, match="twice"):
        StateTable(np.arange(1), ("a", "a"), np.zeros((1, 2)))


def test_the_head_of_a_trace_is_whole_where_it_reaches():
    head = make_trace().head(10)
    assert (len(head), head.planned, head.complete) == (10, 10, True)
    assert head.state.iterations.tolist() == [0, 1, 2, 4, 8]
    cut = dataclasses.replace(make_trace(iterations=5), planned=30, complete=False)
    assert not cut.head(10).complete
    assert make_trace().head(99).planned == 30


@pytest.mark.parametrize(
    "changes",
    [
        {"iterations": 0},
        {"repeats": 4},
        {"seed": -1},
        {"tier": "fp8"},
        {"tiers": ("tf32", "fp32")},
        {"tiers": ("fp32",)},
        {"fp64_iterations": 31},
    ],
)
def test_a_case_out_of_range_names_its_field(tmp_path, changes):
    with pytest.raises(CaseError, match="out of range") as caught:
        Case("x", tmp_path / "x.py", **changes)
    assert f"alignment.{next(iter(changes))}" in str(caught.value) or "tiers" in str(caught.value)


def test_a_baseline_of_few_or_cut_runs_is_refused():
    with pytest.raises(BaselineError, match="too few"):
        make_baseline(repeats=4)
    runs = make_baseline().tiers["fp32"]
    cut = (dataclasses.replace(runs[0], complete=False), *runs[1:])
    with pytest.raises(BaselineError, match="cut short"):
        make_baseline(tiers={"fp32": cut})
    with pytest.raises(BaselineError, match="holds no run"):
        make_baseline(tiers={})


def test_a_table_s_values_under_another_s_rows_and_names():
    ours = StateTable(np.array([0, 2]), ("a", "b"), np.array([[1.0, 2.0], [3.0, 4.0]]))
    theirs = StateTable(np.array([0, 1, 2]), ("b", "c"), np.zeros((3, 2)))
    nan = np.nan
    assert np.array_equal(ours.values_under(theirs), [[2, nan], [nan, nan], [4, nan]], equal_nan=True)
    assert ours.values_under(ours).tolist() == ours.values.tolist()
    assert np.isnan(StateTable.empty().values_under(theirs)).all()


@pytest.mark.parametrize(("iterations", "rows"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (30, 7)])
def test_of_a_run_that_goes_on_the_rows_that_it_has_reached_are_due(iterations, rows):
    run = make_trace(iterations=30)
    so_far = dataclasses.replace(run.head(iterations), planned=30, complete=False)
    assert so_far.reached == iterations
    due = so_far.state.values_due(run.state, so_far.reached)
    assert due.tolist() == run.state.values[:rows].tolist()
