import math

import pytest

from reports.words import wording


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        (0.0, "0"),
        (0.048, "4.8 %"),
        (0.30, "30 %"),
        (-1.234, "−120 %"),
        (2.5e-5, "0.0025 %"),
        (3.04e-7, "3.0 × 10⁻⁷"),
        (9.96e-6, "1.0 × 10⁻⁵"),
        (0.0999, "10 %"),
        (12345.0, "1.2 × 10⁴"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_a_relative_deviation_reads_with_two_digits(value: float | None, words: str) -> None:
    assert wording.relative(value).replace("\u202f", " ").replace("\xa0", " ") == words


def test_a_sign_is_shown_where_it_is_asked_for() -> None:
    assert wording.relative(0.5, signed=True).startswith("+")
    assert wording.relative(-0.5, signed=True).startswith("−")
    assert wording.relative(0.0, signed=True) == "0"


@pytest.mark.parametrize(
    ("observed", "allowed", "words"),
    [
        (0.048, 0.003, "16×"),
        (-0.3, 3.1e-6, "97 000×"),
        (0.0, 0.1, "0×"),
        (1.0, 0.0, "–"),
        (None, 0.1, "–"),
        (1.0, None, "–"),
        (math.nan, 0.1, "NaN"),
        (math.inf, 0.1, "∞"),
    ],
)
def test_a_multiple_says_how_often_the_allowed_was_observed(
    observed: float | None, allowed: float | None, words: str
) -> None:
    assert wording.multiple(observed, allowed).replace("\u202f", " ") == words


def test_a_number_keeps_its_per_cent_sign() -> None:
    assert wording.unbroken("5 % off, 100 %d") == "5\xa0% off, 100\xa0%d"
    assert wording.unbroken("a % b") == "a % b"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (41.9, "42 s"),
        (59.6, "1 min 00 s"),
        (185.0, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (3725.0, "1 h 02 min"),
        (math.nan, "–"),
        (-1.0, "–"),
    ],
)
def test_a_duration_reads_in_its_own_unit(seconds: float, words: str) -> None:
    assert wording.duration(seconds).replace("\u202f", " ") == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(3.69412, "3.694"), (0.0, "0"), (-2.0, "−2.000"), (1e-5, "1.000 × 10⁻⁵"), (math.nan, "NaN"), (None, "–")],
)
def test_a_quantity_reads_with_four_digits(value: float | None, words: str) -> None:
    assert wording.quantity(value).replace("\xa0", " ") == words
