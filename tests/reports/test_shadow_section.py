import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.shadow.evidence.checks import Coverage, EffectivePrecision, Part, ShadowEvidence, ShadowRow
from harness.values.result import Result
from reports.run.page import render_case
from reports.shadow.heatmap import CLASSES, draw_heatmap
from reports.shadow.shadow_section import shadow_section
from reports.words.shadow_words import precisions_line, row_words, shadow_amount, steps_words

Samples = dict[str, Callable[[], Result]]
ROW = ShadowRow(0, Part.BACKWARD, "stem.conv", "convolution_backward", "weight gradient", 0.01, 3e-3, 0.01, 1e-4, 2)

numbers = st.floats(allow_nan=True, allow_infinity=True)
words = st.text(st.characters(), max_size=12)
rows = st.builds(
    ShadowRow, st.integers(0, 99), st.sampled_from(Part), words, words, words, numbers, numbers, numbers, numbers
)


def evidence_of(samples: Samples, name: str) -> ShadowEvidence:
    evidence = samples[name]().verdict.shadow
    assert evidence is not None
    return evidence


def flat(text: str) -> str:
    return text.replace("\xa0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ROW, "1.0 % too large at iteration 0 (allowed 0.010 %); its inputs agree"),
        (replace(ROW, projection=-0.01), "1.0 % too small at iteration 0 (allowed 0.010 %); its inputs agree"),
        (replace(ROW, projection=1e-5), "off by 1.0 % in norm at iteration 0 (allowed 0.30 %); its inputs agree"),
        (replace(ROW, error=1e-3, projection=0.0), "off by 0.10 % in norm at iteration 0 (allowed 0.30 %)"),
        (replace(ROW, error=math.inf), "not comparable with the host's result at iteration 0"),
        (replace(ROW, error=math.nan), "not comparable with the host's result at iteration 0"),
        (
            replace(ROW, part=Part.TRANSFER, error=0.25, allowed=0.0, projection=0.0, allowed_projection=math.inf),
            "25 % of the elements differ at iteration 0, where none may",
        ),
        (replace(ROW, part=Part.RANDOM, tensor="stream", error=math.inf, allowed=0.0), "can not be repeated"),
        (
            replace(ROW, part=Part.RANDOM, tensor="stream", error=0.0, allowed=0.0, projection=0.0),
            "stream is repeated",
        ),
        (replace(ROW, part=Part.RANDOM, tensor="distribution", error=0.5, allowed=0.1), "0.5 standard deviations off"),
        (
            replace(ROW, part=Part.PRECISION, error=2**-8, allowed=2**-11, projection=0.0, allowed_projection=math.inf),
            "stored with 7 mantissa bits at iteration 0 (at least 10 demanded)",
        ),
    ],
)
def test_a_row_is_said_in_words(row: ShadowRow, said: str) -> None:
    assert said in flat(row_words(row))
    assert row_words(row).startswith("stem.conv, convolution_backward, ")


@pytest.mark.parametrize(
    ("row", "error", "allowed"),
    [
        (replace(ROW, error=0.01, allowed=0.003), "1.0 %", "0.30 %"),
        (replace(ROW, part=Part.PRECISION, error=2**-8, allowed=2**-11), "7 bits", "10 bits"),
        (replace(ROW, part=Part.RANDOM, tensor="distribution", error=0.5, allowed=0.047), "0.5 σ", "0.047 σ"),
        (replace(ROW, part=Part.RANDOM, tensor="stream", error=math.inf, allowed=0.0), "∞", "0"),
    ],
)
def test_the_table_gives_each_measure_its_unit(row: ShadowRow, error: str, allowed: str) -> None:
    said = (shadow_amount(row.error, row), shadow_amount(row.allowed, row))
    assert tuple(map(flat, said)) == (error, allowed)


def test_the_effective_precision_fits_in_a_line() -> None:
    precisions = [
        EffectivePrecision("add", 23.0, 23, 4),
        EffectivePrecision("matmul", 22.6, 23, 4),
        EffectivePrecision("convolution forward", 9.7, 10, 4),
    ]
    assert precisions_line(precisions) == (
        "convolution forward 10 bits (at least 10 demanded), matmul 23 bits (at least 23 demanded)"
    )
    assert precisions_line([]) == ""


def test_steps_are_listed() -> None:
    assert steps_words((0,)) == "1 step (iteration 0)"
    assert steps_words((0, 1, 29)) == "3 steps (iterations 0, 1 and 29)"


def test_the_page_says_what_is_wrong_and_where(samples: Samples, parse: Callable[[str], Any]) -> None:
    page = parse(render_case(samples["failing_by_shadow"]()))

    assert "1 of 26 tensors is too far from float64" in page.texts["h2"]
    assert (
        "backbone.layer3.0.conv1, convolution_backward, weight gradient: 1.0 % too large at iteration 0 "
        "(allowed 0.010 %); its inputs agree"
    ) in flat(page.texts["th"])
    assert "convolution forward 10 bits (at least 10 demanded)" in page.texts["p"]
    assert "48 of 50 calls were checked (96 %)" in flat(page.texts["p"])
    assert "the host has no such operation" in page.texts["td"]
    assert "Left by the device to its host: roi_align" in page.texts["p"]
    assert "backbone.layer3.0.conv1, convolution_backward" in page.texts["title"]  # the diamond's
    assert [link["href"] for link in page.all("a")].count("reproduce/1.py") == 2  # in the table and in the list
    assert "backbone.layer3.0.conv1, convolution_backward, weight gradient." in page.texts["li"]
    assert "Its inputs are cut to the first 1 of 2 samples." in page.texts["th"]


def test_the_page_says_that_all_is_well_and_what_is_closest(samples: Samples, parse: Callable[[str], Any]) -> None:
    page = parse(render_case(samples["shadowed"]()))

    assert "every tensor as close to float64 as tf32 lets it" in page.texts["h2"]
    assert "None is violated" in page.texts["summary"]
    assert "too far" not in page.texts["section"]


def test_the_page_says_that_no_step_was_shadowed(samples: Samples, parse: Callable[[str], Any]) -> None:
    assert "Shadow ops: none ran" in parse(render_case(samples["passing"]())).texts["h2"]


def test_every_violation_is_marked_and_none_else(samples: Samples) -> None:
    evidence = evidence_of(samples, "failing_by_shadow")
    (mark,) = draw_heatmap(evidence.rows, evidence.violations).marks

    assert (mark.number, mark.text) == (1, "backbone.layer3.0.conv1, convolution_backward")
    assert not draw_heatmap(evidence_of(samples, "shadowed").rows, ()).marks


def test_modules_keep_their_order_and_each_stage_is_in_one_stretch() -> None:
    modules = ["stem.0", "", "layer1.0.conv", "layer1.1.conv", "head.a.conv", "layer1.0.bn"]
    drawn = draw_heatmap([replace(ROW, module=module) for module in modules], ())

    assert [label.text for label in drawn.stages] == [
        "stem.0",
        "layer1.0",
        "layer1.1",
        "head.a",
        "outside of modules",
    ]


@pytest.mark.parametrize("excess", [0.0, 1e-9, 0.5, 1.0, 1.0000001, 50.0])
def test_no_violation_has_the_shade_of_health(excess: float) -> None:
    row = replace(ROW, error=excess * ROW.allowed, projection=0.0)
    ((name, _),) = draw_heatmap([row], ()).cells
    least = {each.name: each.least for each in CLASSES}

    assert (least[name] >= 1.0) is row.violated


def test_hundreds_of_modules_stay_in_the_picture() -> None:
    many = [replace(ROW, module=f"stage{at // 100}.{at}.conv") for at in range(900)]
    drawn = draw_heatmap(many, many[:20])

    assert drawn.width < 1200
    assert len(drawn.marks) == 900
    middles = [label.x for label in drawn.stages]
    assert min(b - a for a, b in itertools.pairwise(middles)) >= 12


def test_what_is_not_shown_is_said(samples: Samples) -> None:
    evidence = evidence_of(samples, "shadowed")
    many = replace(
        evidence,
        rows=tuple(replace(ROW, module=f"stage.{at}") for at in range(50)),
        left_out=7,
        coverage=Coverage(
            calls={"a": 5, "b": 1},
            checked={"a": 3},
            skipped={"a": "too large", "SGD": "no update known"},
            programs={"SGD": 4},
        ),
    )
    section = shadow_section(many)

    assert section is not None
    assert (len(section.calls), len(section.more)) == (20, 30)
    assert "50 of 57 tensors" in section.heading
    assert "7 tensors" in section.description
    assert [(row.op, row.missing, row.there, row.why) for row in section.unchecked] == [
        ("SGD", 4, 4, "no update known"),
        ("a", 2, 5, "too large"),
        ("b", 1, 1, "not said"),
    ]
    assert section.coverage_lead.startswith("3 of 10 calls were checked")


def test_the_calls_that_were_not_checked_are_shown_with_their_modules(
    samples: Samples, parse: Callable[[str], Any]
) -> None:
    result = samples["failing_by_shadow"]()
    evidence = result.verdict.shadow
    assert evidence is not None
    coverage = Coverage(
        calls={"mm": 9}, checked={"mm": 2}, skipped={"mm": "a sample is checked"}, unchecked={"mm": {"head": 1, "": 6}}
    )
    verdict = replace(result.verdict, shadow=replace(evidence, coverage=coverage))
    written = render_case(replace(result, verdict=verdict))

    assert "a sample is checked<details><summary>In 2 modules</summary>head; no module (6 times)</details>" in written
    assert not parse(written).open


def test_a_finding_without_a_program_says_why(samples: Samples, parse: Callable[[str], Any]) -> None:
    result = samples["failing_by_shadow"]()
    (found,) = result.reproductions
    page = parse(render_case(replace(result, reproductions=(replace(found, program="", note="It has none: why."),))))

    assert "It has none: why." in page.texts["li"]
    assert "reproduce/1.py" not in [link["href"] for link in page.all("a")]


def test_evidence_without_rows_is_no_health(samples: Samples) -> None:
    section = shadow_section(ShadowEvidence((), "tf32", (), (), Coverage()))

    assert section is not None
    assert section.heading == "Shadow ops: no operation was checked"
    assert section.heatmap is None


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(rows, max_size=5))
def test_any_rows_have_a_page(samples: Samples, parse: Callable[[str], Any], rows: list[ShadowRow]) -> None:
    result = samples["crashed"]()
    evidence = ShadowEvidence((0,), "tf32", tuple(rows), (EffectivePrecision("x", math.nan, 23, 1),), Coverage())

    page = parse(render_case(replace(result, verdict=replace(result.verdict, shadow=evidence))))

    assert not page.open
    violated = sum(row.violated for row in rows)
    assert ("too far from float64" in page.texts["h2"]) is (violated > 0)


def test_a_finding_of_another_process_says_which(samples: Samples, parse: Callable[[str], Any]) -> None:
    result = samples["failing_by_shadow"]()
    (found,) = result.reproductions
    others = (found, replace(found, number=31, rank=3))
    written = render_case(replace(result, reproductions=others))
    page = parse(written)

    assert written.count(", in process 3.") == 1
    rows = [link["href"] for link in page.all("a") if link["href"].startswith("reproduce/")]
    assert rows.count("reproduce/1.py") == 2  # the row of the violated tensor links to the first process's
    assert rows.count("reproduce/31.py") == 1
