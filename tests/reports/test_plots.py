import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.values.result import Result
from harness.values.verdict import Finding, Outcome
from reports.drawing import captions, plots, theme
from reports.drawing.curves import Curve, curves_of, thinned

any_number = st.floats(allow_nan=True, allow_infinity=True, width=64)


def curve(candidate: np.ndarray, center: np.ndarray | None, allowed: np.ndarray | None, **changes: object) -> Curve:
    with np.errstate(all="ignore"):
        deviation = None if center is None or allowed is None else candidate / center - 1
    plain = Curve(
        signal="loss",
        iterations=np.arange(len(candidate)),
        candidate=candidate,
        center=center,
        deviation=deviation,
        allowed=allowed,
        planned=len(candidate),
        complete=True,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def drawn(each: Curve, size: plots.Format = plots.SMALL) -> ET.Element:
    """The drawing parsed as XML; that it parses is half of what these tests say."""
    return ET.fromstring(plots.draw(each, size))  # noqa: S314  # our own


@settings(max_examples=25)
@given(data=st.data(), count=st.integers(1, 5), judged=st.booleans())
def test_whatever_the_numbers_there_is_a_drawing_and_a_caption(data: st.DataObject, count: int, judged: bool) -> None:
    values = arrays.arrays(np.float64, count, elements=any_number)
    candidate, center, allowed = data.draw(values), data.draw(values), data.draw(values)
    violation = Finding("envelope", Outcome.FAIL, "loss", "", 0, data.draw(any_number), data.draw(any_number))
    each = curve(
        candidate,
        center if judged or data.draw(st.booleans()) else None,
        np.abs(allowed) if judged else None,
        complete=data.draw(st.booleans()),
        planned=count + 3,
        violation=violation if judged and data.draw(st.booleans()) else None,
    )

    drawn(each, data.draw(st.sampled_from([plots.SMALL, plots.LARGE])))
    assert captions.description(each)


@pytest.mark.parametrize("size", [plots.LARGE, plots.NARROW, plots.SMALL])
def test_a_drawing_is_the_same_every_time_and_fits_a_page(
    samples: dict[str, Callable[[], Result]], size: plots.Format
) -> None:
    each = curves_of(samples["failing_by_envelope"]())[0]
    svg = plots.draw(each, size)

    assert svg == plots.draw(each, size)
    assert f'viewBox="0 0 {size.width} {size.height}"' in svg
    assert len(svg) < 60_000
    assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg)) <= set(re.findall(r'(?<=id=")[^"]*', svg))
    assert "<metadata" not in svg


def test_the_users_matplotlibrc_changes_nothing(samples: dict[str, Callable[[], Result]]) -> None:
    each = curves_of(samples["passing"]())[0]
    plain = plots.draw(each, plots.SMALL)
    theirs = {"lines.marker": "s", "text.usetex": True, "axes.grid": True, "svg.fonttype": "path", "savefig.dpi": 300}

    with mpl.rc_context(theirs):
        assert plots.draw(each, plots.SMALL) == plain
        assert mpl.rcParams["lines.marker"] == "s"


def test_violations_are_diamonds_and_named_once(samples: dict[str, Callable[[], Result]]) -> None:
    healthy, faulty = (curves_of(samples[name]())[0] for name in ("passing", "failing_by_envelope"))

    assert theme.LIGHT["violation"] not in plots.draw(healthy, plots.LARGE)
    assert faulty.deviation is not None
    assert faulty.allowed is not None
    marks = [each for each in drawn(faulty, plots.LARGE).iter() if each.tag.endswith("use")]
    diamonds = [mark for mark in marks if theme.LIGHT["violation"] in mark.attrib.get("style", "")]
    assert len(diamonds) == int(np.sum(np.abs(faulty.deviation) > faulty.allowed)) > 0
    words = "".join(drawn(faulty, plots.LARGE).itertext())
    assert faulty.violation is not None
    assert words.count(f"iteration {faulty.violation.iteration},") == 1


def test_a_nan_is_crossed_out_and_said(samples: dict[str, Callable[[], Result]]) -> None:
    broken = curves_of(samples["not_finite"]())[0]

    assert "NaN or ∞" in "".join(drawn(broken, plots.LARGE).itertext())
    assert "NaN or ∞ at 19 of 30 iterations, first at 10." in captions.caption(broken)


def test_text_in_the_drawing_keeps_its_digits() -> None:
    each = curve(np.array([1.0, 1.000011]), np.ones(2), np.full(2, 1e-5))

    assert "0.001\u202f%" in "".join(drawn(each).itertext())


@pytest.mark.parametrize("apart", [1e-1, 1e-4, 1e-6, 1e-9])
def test_ticks_that_are_close_have_digits_enough_to_differ(apart: float) -> None:
    values = 4.13135 * (1 + apart * np.arange(2.0))
    words = ["".join(text.itertext()).strip() for text in drawn(curve(values, None, None)).iter() if "text" in text.tag]
    ticks = [word for word in words if word.startswith("4.")]
    assert len(ticks) >= 2
    assert len(set(ticks)) == len(ticks)


def test_long_runs_are_thinned_to_their_worst(samples: dict[str, Callable[[], Result]]) -> None:
    result = samples["passing"]()
    loss = result.verdict.envelopes["loss"]
    count = 40_000
    candidate = np.ones(count)
    candidate[31_415] = 1.5
    long = replace(
        loss,
        iterations=np.arange(count),
        center=np.ones(count),
        allowed=np.full(count, 0.1),
        candidate=candidate,
        deviation=candidate - 1,
    )
    each = curves_of(replace(result, verdict=replace(result.verdict, envelopes={"loss": long})))[0]

    kept = thinned(each).iterations
    assert len(kept) == 1000
    assert 31_415 in kept
    assert "1000 of 40000 iterations are drawn" in captions.caption(each)


@pytest.mark.parametrize("judged", [True, False])
def test_thinning_never_hides_a_nan(judged: bool) -> None:
    values = np.linspace(1, 2, 5000)
    values[[1234, 4321]] = np.nan, np.inf
    each = curve(values, np.ones(5000), np.full(5000, 0.1) if judged else None)

    kept = thinned(each)

    assert len(kept.iterations) == 1000
    assert {1234, 4321} <= set(kept.iterations.tolist())
    assert "NaN or ∞ at 2 of 5000 iterations, first at 1234." in captions.caption(each)


def test_the_loss_comes_first_and_keeps_company(samples: dict[str, Callable[[], Result]]) -> None:
    assert [each.signal for each in curves_of(samples["passing"]())] == [
        "loss",
        "decode.loss_ce",
        "aux.loss_ce",
        "grad_norm",
    ]
    assert [each.signal for each in curves_of(samples["inconclusive"]())] == ["loss", "decode.loss_ce", "aux.loss_ce"]
    assert curves_of(samples["crashed"]()) == ()
