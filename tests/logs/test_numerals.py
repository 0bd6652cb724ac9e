import re

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from harness.logs.numerals import NUMBER, PADDING, as_words, read_decimals, read_fixed, read_integers

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


@given(st.lists(st.integers(0, 10**9).map(str) | st.text("0123456789.-a", max_size=9), min_size=1, max_size=40))
def test_integers_are_what_int_says(tokens):
    buffer, starts = lay_out(tokens)
    values, digits = read_integers(as_words(buffer), starts)
    for token, value, width in zip(tokens, values.tolist(), digits.tolist(), strict=True):
        read = re.match(r"\d{0,8}", token)[0]
        assert width == len(read)
        assert value == int(read or "0") or not read


@given(
    st.integers(1, 15).flatmap(lambda width: st.tuples(st.just(width), st.integers(0, width - 1))),
    st.integers(-22, 22),
    st.data(),
)
def test_columns_are_what_float_says(widths, power, data):
    width, after = widths
    before = width - after
    digits = data.draw(st.lists(st.text("0123456789", min_size=width, max_size=width), min_size=1, max_size=20))
    texts = [one[:before] + ("." + one[before:] if after else "") for one in digits]
    row = len(texts[0]) + 3
    buffer = "".join(f"x={text}\n" for text in texts).encode() + bytes(PADDING)
    values = read_fixed(lambda at: np.ndarray((len(texts),), "<u8", buffer, at, (row,)), 2, before, after, power)
    assert values.tolist() == [float(f"{one}e{power}") for one in digits]
