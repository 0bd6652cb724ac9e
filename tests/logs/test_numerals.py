import re

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from harness.logs.numerals import NUMBER, PADDING, as_words, read_decimals, read_integers

printed = (
    st.floats().map(repr)
    | st.floats(0, 1e7).map(lambda v: f"{v:.6f}")
    | st.decimals(0, 10**9, places=8).map(str)
    | st.integers(0, 10**18).map(str)
    | st.text("0123456789.eE+-naif", max_size=20)
)


def lay_out(tokens):
    text = " ".join(tokens).encode() + b" "
    starts = np.cumsum([0, *(len(token) + 1 for token in tokens)])[:-1]
    return text + bytes(PADDING), starts


@example(["0.-"])
@example(["1E309", "-inf"])
@given(st.lists(printed, min_size=1, max_size=40))
def test_decimals_are_what_float_says(tokens):
    buffer, starts = lay_out(tokens)
    values, read = read_decimals(buffer, as_words(buffer), starts)
    for token, value, was_read in zip(tokens, values.tolist(), read.tolist(), strict=True):
        number = re.fullmatch(b"(" + NUMBER + rb")\.?", token.encode())  # a sentence may end behind it
        fits = number is not None and (np.isfinite(float(number[1])) or not number[1][-1:].isdigit())
        assert was_read == fits  # digits past float64's range are left to who reads line by line
        if fits:
            np.testing.assert_equal(value, float(number[1]))


@given(st.lists(st.integers(0, 10**8).map(str) | st.text("0123456789.-a", max_size=9), min_size=1, max_size=40))
def test_integers_are_what_int_says(tokens):
    buffer, starts = lay_out(tokens)
    values, read = read_integers(as_words(buffer), starts)
    for token, value, was_read in zip(tokens, values.tolist(), read.tolist(), strict=True):
        assert was_read == (re.fullmatch(r"\d{1,7}", token) is not None)
        if was_read:
            assert value == int(token)
