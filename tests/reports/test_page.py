import base64
import html
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.values.result import Result
from harness.values.trace import Trace
from harness.values.verdict import Finding, Outcome, Status
from reports.drawing import theme
from reports.run.page import render_case
from reports.words.headline import LONGEST

rendered = cache(render_case)  # results are values: the same sample has the same page

Parse = Callable[[str], Any]
Samples = dict[str, Callable[[], Result]]


def drawings_of(source: str, attribute: str) -> list[str]:
    """The SVG files that a page shows, as text."""
    found = re.findall(rf' {attribute}="data:image/svg\+xml;base64,([^"]*)"', source)
    return [base64.b64decode(each).decode() for each in found]


def test_it_says_the_verdict_and_the_reason(any_result: Result, parse: Parse) -> None:
    page = parse(rendered(any_result))

    assert page.texts["h1"] == any_result.case
    assert page.texts["title"].startswith(f"{any_result.verdict.status.value} · {any_result.case}")
    assert any_result.verdict.reason in page.texts["header"].replace("\xa0", " ")
    assert any_result.verdict.status.value in page.texts["header"]
    for finding in any_result.verdict.findings:
        assert finding.message in page.texts["main"].replace("\xa0", " ")
    assert any_result.command in page.texts["pre"]


def test_emulated_is_said_wherever_it_could_be_overlooked(any_result: Result, parse: Parse) -> None:
    page = parse(rendered(any_result))

    for place in ("title", "header", "th", "td", "footer"):
        assert ("EMULATED" in page.texts.get(place, "")) is any_result.emulated, place


def test_it_is_well_formed_and_alone(any_result: Result, parse: Parse) -> None:
    page = parse(rendered(any_result))

    assert not page.open, "an element is left open"
    assert not page.all("script")
    assert not page.all("link")
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("href", "src", "srcset", "xlink:href"):
            target = attributes.get(name)
            if tag in {"img", "source"} and (target or "").startswith("data:image/svg+xml;base64,"):
                continue
            assert target is None or target.startswith("#") or target in {"result.json", "trace.csv", "reproduce/1.py"}
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy["content"])
    assert "script-src" not in str(policy["content"])


def test_every_reference_on_the_page_has_its_target(any_result: Result, parse: Parse) -> None:
    source = rendered(any_result)
    ids = [attributes["id"] for _, attributes in parse(source).elements if "id" in attributes]

    assert len(ids) == len(set(ids))
    named = {name for names in re.findall(r'aria-labelledby="([^"]+)"', source) for name in names.split()}
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', source))
    assert named | used <= set(ids)


def test_a_screen_reader_gets_tables_and_drawings_in_words(any_result: Result, parse: Parse) -> None:
    page = parse(rendered(any_result))

    assert all(attributes.get("scope") for attributes in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    drawings = [drawing for drawing in page.all("svg") if drawing.get("role") == "img"]
    assert len(page.all("desc")) == len(drawings)
    assert all(drawing.get("aria-labelledby") for drawing in drawings)
    assert all(len(drawing["alt"] or "") > 20 for drawing in page.all("img"))
    assert all(drawing.get("aria-hidden") or drawing in drawings for drawing in page.all("svg"))
    assert {"header", "main", "footer", "h1", "h2"} <= {tag for tag, _ in page.elements}
    assert page.all("html")[0]["lang"] == "en"


def test_drawings_have_the_pages_colours_light_and_dark(samples: Samples) -> None:
    source = rendered(samples["failing_by_envelope"]())
    light, dark = drawings_of(source, "src"), drawings_of(source, "srcset")

    assert len(light) == len(dark) >= 5
    sheet = source[: source.index("</style>")]
    by_day, _, by_night = sheet.partition("prefers-color-scheme: dark")
    for drawings, style, rules in ((light, theme.LIGHT, by_day), (dark, theme.DARK, by_night)):
        for name, colour in style.items():
            assert f"--{name}: {colour};" in rules
        used = {colour for drawing in drawings for colour in re.findall(r"#[0-9a-f]{6}\b", drawing)}
        assert used <= set(style.values())
        assert style["candidate"] in used
    for variable in set(re.findall(r"var\((--[a-z-]+)\)", source)) - {"--tone"}:
        assert f"{variable}:" in sheet


def test_the_drawing_says_its_numbers(samples: Samples, parse: Parse) -> None:
    result = samples["failing_by_envelope"]()
    page = parse(render_case(result))

    first = result.verdict.violations[0]
    assert f"At iteration {first.iteration} it is" in (page.all("img")[0]["alt"] or "")
    assert f"leaves its envelope at iteration {first.iteration}" in page.texts["h2"]
    assert f"iteration {first.iteration}" in drawings_of(render_case(result), "src")[0]


def test_violations_come_first_and_hundreds_fold_away(samples: Samples, parse: Parse) -> None:
    source = rendered(samples["failing_by_buffers"]())
    shown, _, folded = source.partition('id="findings-title"')[2].partition("<details>")

    assert shown.count("violated</td>") == 5
    assert shown.count("kept</td>") == 0
    assert folded.count("violated</td>") == 101
    assert "101 violated; 8 kept" in folded


def test_what_differs_is_marked_by_more_than_colour(samples: Samples, parse: Parse) -> None:
    page = parse(rendered(samples["inconclusive"]()))

    assert "2 properties that must agree differ" in page.texts["h2"]
    assert page.texts["td"].count("≠ must agree") == 2
    source = rendered(samples["inconclusive"]())
    differing, _, alike = source.partition('id="comparable-title"')[2].partition("<details>")
    assert "0.002" in differing
    assert "✓ equal" in alike
    assert "✓ equal" not in differing


def test_each_property_of_the_two_sides_stands_once(any_result: Result) -> None:
    source = rendered(any_result).partition('id="comparable-title"')[2].partition("</section>")[0]
    names = re.findall(r'<th scope="row" class="word">(.*?)</th>', source)

    assert len(names) == len(set(names))


def test_the_headline_is_short_and_the_reason_is_there_whole(any_result: Result, parse: Parse) -> None:
    said = re.findall(r'<p class="why(?: name)?">(.*?)</p>', rendered(any_result))

    assert 0 < len(html.unescape(said[0])) <= LONGEST
    assert any_result.verdict.reason in parse(rendered(any_result)).texts["header"].replace("\xa0", " ")


def test_the_signal_that_was_violated_is_drawn_beside_the_loss(samples: Samples) -> None:
    result = samples["passing"]()
    found = Finding("envelope", Outcome.FAIL, "grad_norm", "it is off", 3, 0.05, 0.01, tier="tf32")
    verdict = replace(result.verdict, status=Status.FAIL, reason="envelope: it is off", findings=(found,))
    heads = re.findall(r'<h2 id="figure-\d">(.*?)</h2>', rendered(replace(result, verdict=verdict)))

    assert heads == ["The grad_norm leaves its envelope at iteration 3", "The loss stays in its envelope"]


def test_a_fail_by_an_operation_alone_begins_with_its_heat_map(samples: Samples) -> None:
    source = rendered(samples["failing_by_shadow"]())

    assert source.index('id="shadow-title"') < source.index('id="figure-1"')


def test_the_pointer_is_told_the_values_of_each_iteration(samples: Samples) -> None:
    result = samples["failing_by_envelope"]()
    source = rendered(result)
    loss = result.verdict.envelopes["loss"]
    told = re.findall(r"<title>(iteration 3\n.*?)</title>", source, re.DOTALL)

    assert f"candidate {loss.candidate[3]:.8g}" in told[0]
    assert "deviation +0.064" in told[0]


def test_only_the_end_of_a_long_output_is_shown(samples: Samples, parse: Parse) -> None:
    output = "\n".join(f"line {number}" for number in range(60))
    page = parse(render_case(replace(samples["crashed"](), output=output, log=output.encode())))

    assert "line 59" in page.texts["pre"]
    assert "line 34" not in page.texts["pre"]
    assert "35 lines before these are left out here." in page.texts["p"]


def test_a_crash_shows_the_end_of_its_output(samples: Samples, parse: Parse) -> None:
    page = parse(rendered(samples["crashed"]()))

    assert "SDAA error: out of memory" in page.texts["pre"]
    assert "unknown, no run said what it ran on" in page.texts["header"]
    assert not [drawing for drawing in page.all("svg") if drawing.get("role") == "img"]
    assert not page.all("img")


def test_the_legacy_rule_stands_beside_ours(samples: Samples, parse: Parse) -> None:
    result = samples["failing_by_envelope"]()
    page = parse(render_case(result))

    assert result.verdict.legacy is not None
    assert "\n".join(result.verdict.legacy.lines) in page.texts["pre"]
    assert "never sufficient" in page.texts["main"]


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_a_run_that_hardly_began_has_a_page(samples: Samples, parse: Parse, keep: int) -> None:
    result = samples["cut_short"]()
    assert result.trace is not None
    envelopes = {
        name: replace(
            envelope,
            **{
                each.name: getattr(envelope, each.name)[:keep]
                for each in fields(envelope)
                if each.name not in {"signal", "tier"}
            },
        )
        for name, envelope in result.verdict.envelopes.items()
    }
    trace = result.trace
    short = Trace(trace.iterations[:keep], {name: v[:keep] for name, v in trace.signals.items()}, 30, complete=False)
    for drawn in (envelopes, {}):
        page = parse(render_case(replace(result, trace=short, verdict=replace(result.verdict, envelopes=drawn))))
        assert f"{keep}" in page.texts["dd"]


def test_without_a_baseline_the_candidate_stands_alone(samples: Samples, parse: Parse) -> None:
    result = replace(samples["inconclusive"](), baseline=None)
    page = parse(render_case(result))

    assert "There is no reference to compare with." in page.texts["figcaption"]
    assert "No baseline was read." in page.texts["main"]


def test_without_a_bound_nothing_is_said_to_stay_in_it(samples: Samples, parse: Parse) -> None:
    result = samples["passing"]()
    loss = result.verdict.envelopes["loss"]
    boundless = replace(loss, allowed=np.full(len(loss.iterations), np.nan))
    source = rendered(replace(result, verdict=replace(result.verdict, envelopes={"loss": boundless})))
    page = parse(source)

    assert "The loss beside the reference's" in page.texts["h2"]
    assert "envelope" not in page.texts["h2"]
    assert "Furthest apart at iteration" in page.texts["figcaption"]
    drawings = drawings_of(source, "src")
    assert drawings
    assert not [drawing for drawing in drawings if "allowed" in drawing or theme.LIGHT["violation"] in drawing]


def test_what_leaves_the_envelope_is_never_said_to_stay(samples: Samples, parse: Parse) -> None:
    """Also where no rule calls it: too few runs of the reference, a bound that may not apply."""
    result = samples["failing_by_envelope"]()
    undecided = tuple(replace(finding, status=Outcome.INCONCLUSIVE) for finding in result.verdict.findings)
    page = parse(rendered(replace(result, verdict=replace(result.verdict, findings=undecided))))

    assert "The loss leaves its envelope at iteration 3" in page.texts["h2"]
    assert "At iteration 3 it is" in page.texts["figcaption"]
    assert "4 of 4 checks could not decide" in page.texts["main"]


def test_two_logs_without_provenance_have_a_page(samples: Samples, parse: Parse) -> None:
    page = parse(render_case(replace(samples["passing"](), baseline=None, candidate=None)))

    assert "Candidate: not stated. Reference: not stated." in page.texts["header"]
    assert "Neither side says where it comes from." in page.texts["main"]


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'--></style></title></svg></pre><script>",
    "{{ 7*7 }}{% raw %}",
    "]]>&lt;&amp;<!--",
    "\x00\x1b[31mred\x07\u202eevil\ufffe\ud800",
    "javascript:alert(1)",
    "$\\frac{1}{0}$ $",
)


KEPT = {"loss", "lr", "grad_norm", "update_norm", "param_norm"}  # a baseline without them is no baseline


def with_text(value: Any, text: str) -> Any:
    """The value with every text in it replaced."""
    if isinstance(value, str) and type(value) is str:
        return text
    if isinstance(value, tuple):
        return tuple(with_text(each, text) for each in value)
    if isinstance(value, dict):
        return {key if key in KEPT else f"{key}{text}": with_text(each, text) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: with_text(getattr(value, each.name), text) for each in fields(value)})
    return value


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_hostile_text_stays_text(samples: Samples, parse: Parse, text: str) -> None:
    harmless, hostile = (render_case(with_text(samples["inconclusive"](), each)) for each in ("plain", text))

    assert [tag for tag, _ in parse(hostile).elements] == [tag for tag, _ in parse(harmless).elements]
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\ufffe\ud800]", hostile)
    hostile.encode("utf-8")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(), max_size=30) | st.text("<>&\"'/={}%!-[]\\$", max_size=30))
def test_any_text_stays_text(samples: Samples, parse: Parse, text: str) -> None:
    result = samples["crashed"]()
    finding = Finding("rule", Outcome.FAIL, "signal", "message", 3, 0.1, 0.01, 0.001, "tf32")
    result = replace(result, candidate=samples["passing"]().candidate)
    result = replace(result, verdict=replace(result.verdict, findings=(finding,)))
    harmless, hostile = (render_case(with_text(result, each)) for each in ("plain", text or "-"))

    assert [tag for tag, _ in parse(hostile).elements] == [tag for tag, _ in parse(harmless).elements]
    hostile.encode("utf-8")


def test_judged_signals_with_hostile_names_are_drawn(samples: Samples, parse: Parse) -> None:
    result = samples["failing_by_envelope"]()
    evil = '<script>"$x$ id="hero'
    renamed = {f"{evil}{name}" if name != "loss" else name: each for name, each in result.verdict.envelopes.items()}
    envelopes = {name: replace(each, signal=name) for name, each in renamed.items()}
    page = parse(render_case(replace(result, verdict=replace(result.verdict, envelopes=envelopes))))

    assert not page.all("script")
    assert evil in page.texts["h3"]


def test_a_diverging_loss_does_not_flatten_the_reference(samples: Samples) -> None:
    result = samples["failing_by_envelope"]()
    loss = result.verdict.envelopes["loss"]
    huge = loss.candidate.copy()
    huge[20:] = np.float64(1e300)
    envelopes = {**result.verdict.envelopes, "loss": replace(loss, candidate=huge, deviation=huge / loss.center - 1)}

    page = render_case(replace(result, verdict=replace(result.verdict, envelopes=envelopes)))
    assert "leaves the panel" in drawings_of(page, "src")[0]


def test_importing_reports_costs_no_plotting_and_no_torch() -> None:
    code = "import sys, reports; print(sorted({'matplotlib', 'torch', 'mmengine'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
