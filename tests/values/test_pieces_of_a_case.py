"""The pieces of a case's run: where it is started anew."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.values.case import Case
from harness.values.errors import CaseError

LENGTHS = st.integers(1, 200).flatmap(lambda length: st.tuples(st.just(length), st.integers(1, length)))


def case(iterations, restarts):
    return Case("mine", Path("mine.py"), iterations=iterations, restarts=restarts, fp64_iterations=0)


@given(LENGTHS, st.integers(1, 400))
def test_pieces_cover_each_iteration_once_and_are_equally_long(length, planned):
    iterations, restarts = length
    whole = case(iterations, restarts).piece_starts(iterations)
    assert len(whole) == restarts
    sizes = [end - start for start, end in zip(whole, (*whole[1:], iterations), strict=True)]
    assert sum(sizes) == iterations
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    shorter = case(iterations, restarts).piece_starts(planned)
    assert shorter[0] == 0
    assert all(start < planned for start in shorter)
    if planned <= iterations:
        assert shorter == tuple(start for start in whole if start < planned)
    elif restarts > 1:
        assert shorter[: len(whole)] == whole
        assert list(shorter) == sorted(set(shorter))
        assert planned - shorter[-1] <= -(-iterations // restarts) + 1


@pytest.mark.parametrize("restarts", [0, -1, 31, 2.0, True])
def test_a_number_of_pieces_that_no_run_has_is_refused(restarts):
    with pytest.raises(CaseError, match="out of range"):
        case(30, restarts)
