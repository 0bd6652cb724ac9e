"""Which iterations are shadowed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.shadow.shadowed_iterations import parse_iterations, spread_iterations
from harness.values.errors import UsageError


@given(st.integers(1, 10_000))
def test_the_default_is_spread_over_the_run(planned):
    found = spread_iterations(planned)
    assert found[0] == 0
    assert found[-1] == planned - 1
    assert list(found) == sorted(set(found))
    assert len(found) <= 4


def test_thirty_iterations_are_shadowed_at_four():
    assert parse_iterations("auto", 30) == (0, 1, 10, 29)


@pytest.mark.parametrize(("text", "expected"), [("none", ()), ("3", (3,)), ("5, 0,5", (0, 5))])
def test_they_can_be_named(text, expected):
    assert parse_iterations(text, 30) == expected


@pytest.mark.parametrize("text", ["", "30", "-1", "1.5", "a", "0,,1", "²"])
def test_anything_else_is_refused(text):
    with pytest.raises(UsageError, match="--shadow"):
        parse_iterations(text, 30)
