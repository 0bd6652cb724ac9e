import base64
import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from harness.values.invocation import Invocation
from harness.values.result import Result
from reports import record_of
from reports.drawing.sparkline import sparkline
from reports.run.build_words import build_words
from reports.run.index import Entry, render_index

Samples = dict[str, Callable[[], Result]]


def entry(result: Result, case: str = "ann_small") -> Entry:
    return Entry(record_of(replace(result, verdict=replace(result.verdict, case=case))), f"{case}/report.html")


def test_what_needs_a_person_comes_first(samples: Samples, parse: Callable[[str], Any]) -> None:
    page = parse(render_index([entry(make(), name) for name, make in samples.items()]))

    verdicts = re.findall("FAIL|ERROR|INCONCLUSIVE|PASS", page.texts["td"])
    assert verdicts == ["FAIL"] * 4 + ["ERROR"] * 2 + ["INCONCLUSIVE", "PASS", "PASS"]
    assert re.sub(r"\s+", " ", page.texts["ul"]).strip().startswith("4 FAIL 2 ERROR 1 INCONCLUSIVE 2 PASS")
    assert page.texts["title"] == "2 of 9 aligned · EMULATED"
    assert not page.open


def test_emulated_rows_say_so_and_real_ones_do_not(samples: Samples, parse: Callable[[str], Any]) -> None:
    real = parse(render_index([entry(samples["failing_by_buffers"]())]))
    mixed = parse(render_index([entry(samples["failing_by_buffers"]()), entry(samples["passing"]())]))

    assert "EMULATED" not in real.texts["body"]
    assert mixed.texts["td"].count("EMULATED") == 1
    assert "1 of 2 cases: no evidence about real hardware" in mixed.texts["header"]


def test_hundreds_of_rows_read_without_the_script(samples: Samples, parse: Callable[[str], Any]) -> None:
    results = [make() for make in samples.values()]
    page = parse(render_index([entry(results[i % 7], f"case_{i}") for i in range(300)]))

    assert len(page.all("tr")) == 301
    search = next(attributes for attributes in page.all("div") if attributes.get("role") == "search")
    assert "hidden" in search


def test_the_policy_lets_in_this_script_alone(samples: Samples) -> None:
    source = render_index([entry(samples["passing"]())])
    script = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)

    assert len(script) == 1
    digest = base64.b64encode(sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in source.replace("&#39;", "'")


def test_hostile_text_stays_text(samples: Samples, parse: Callable[[str], Any]) -> None:
    evil = '</script><script>alert("1")</script>'
    result = samples["failing_by_envelope"]()
    verdict = replace(result.verdict, case=evil, reason=evil, aligned_tier=evil, demanded_tier=evil)
    page = parse(render_index([Entry(record_of(replace(result, verdict=verdict)), "x/report.html")]))

    assert len(page.all("script")) == 1
    assert evil in page.texts["a"]


@pytest.mark.parametrize("fill", [np.nan, np.inf, -np.inf, 0.0, 1e308, -1e308])
def test_a_thumbnail_of_anything(samples: Samples, fill: float) -> None:
    result = samples["failing_by_envelope"]()
    loss = result.verdict.envelopes["loss"]
    candidate = loss.candidate.copy()
    candidate[::2] = fill
    drawn = sparkline(replace(result.verdict, envelopes={"loss": replace(loss, candidate=candidate)}))

    assert drawn.count("<path") == 3
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_no_thumbnail_without_a_loss(samples: Samples) -> None:
    assert sparkline(samples["crashed"]().verdict) == ""


def test_a_row_says_on_which_card_and_host_it_was_made(samples: Samples) -> None:
    record = record_of(replace(samples["passing"](), card="3", host="node-7"))
    page = render_index([Entry(record, "")])
    assert "node-7, card 3" in page


def test_failures_of_one_cause_are_told_together_and_link_to_their_cases(
    samples: Samples, parse: Callable[[str], Any]
) -> None:
    failed = samples["failing_by_envelope"]
    entries = [entry(failed(), name) for name in ("a", "b", "c")] + [entry(samples["passing"](), "d")]
    page = parse(render_index(entries))

    assert "1 cause explains 3 failures" in page.texts["h2"]
    assert [attributes["data-causes"] for attributes in page.all("tr") if "data-causes" in attributes] == ["1"] * 3
    links = [link["href"] for link in page.all("a")]
    assert [links.count(f"{name}/report.html") for name in "abcd"] == [2, 2, 2, 1]


def test_a_hostile_cause_stays_text(samples: Samples, parse: Callable[[str], Any]) -> None:
    evil = '</script><script>alert("1")</script>'
    result = samples["failing_by_envelope"]()
    findings = tuple(replace(finding, signal=evil, rule=evil) for finding in result.verdict.findings)
    verdict = replace(result.verdict, findings=findings, shadow=None)
    entries = [Entry(record_of(replace(result, verdict=replace(verdict, case=case))), "") for case in (evil, "b")]

    assert len(parse(render_index(entries)).all("script")) == 1


def test_a_report_of_one_case_has_no_causes_across_cases(samples: Samples, parse: Callable[[str], Any]) -> None:
    page = parse(render_index([entry(samples["failing_by_envelope"]())]))

    assert not [attributes for attributes in page.all("tr") if "data-causes" in attributes]


def test_a_row_says_when_from_which_commit_and_what_it_could_see(samples: Samples, parse: Callable[[str], Any]) -> None:
    result = samples["passing"]()
    assert result.candidate is not None
    made = replace(result.candidate, started="2026-11-20T08:15:00+00:00", commit="0123456789ab-dirty")
    page = parse(render_index([entry(replace(result, candidate=made, seconds=83.0))]))

    heads = [attributes["data-sort"] for attributes in page.all("th") if "data-sort" in attributes]
    assert heads[3:10] == ["build", "machine", "date", "commit", "tier", "seen", "time"]
    for words in ("2026-11-20 08:15", "01234567-dirty", "1\u202fmin 23\u202fs", "30 of 30"):
        assert words in page.texts["td"]
    seen = [finding.smallest_detectable for finding in result.verdict.findings if finding.signal == "loss"]
    keys = [attributes["data-by"] for attributes in page.all("td") if "data-by" in attributes]
    assert keys == ["1", repr(min(each for each in seen if each is not None)), "83.0"]


def test_rows_of_several_invocations_say_which_is_theirs(samples: Samples, parse: Callable[[str], Any]) -> None:
    calls = [Invocation(str(n) * 32, f"2026-11-2{n}T00:00:00+00:00", machine="vm") for n in (1, 2)]
    entries = [entry(replace(samples["passing"](), invocation=call)) for call in calls]

    assert "invocation 2" in parse(render_index(entries)).texts["td"]
    assert "invocation" not in parse(render_index(entries[:1])).texts["td"]
    assert "2 invocations on vm lie together here" in parse(render_index(entries)).texts["header"]


def test_builds_are_told_by_what_differs() -> None:
    common = {"Driver": "3.0", "Runtime": "2.1", "BLAS": "1.0", "Host": "emulated on x86_64"}
    words = build_words([{**common, "DNN": "1.1"}, {**common, "DNN": "1.2"}, {"Device": "emulated"}, {}])

    assert words == [
        "DNN 1.1, Driver 3.0, Runtime 2.1, 1 more",
        "DNN 1.2, Driver 3.0, Runtime 2.1, 1 more",
        "emulated",
        "–",
    ]


def test_a_run_that_ended_early_is_drawn_on_the_whole_reference(samples: Samples) -> None:
    loss = record_of(samples["cut_short"]()).verdict.envelopes["loss"]

    assert len(loss.iterations) == 30
    assert np.isfinite(loss.center).all()
    assert np.isfinite(loss.candidate).sum() == 11


def test_a_run_that_was_not_judged_keeps_its_curve(samples: Samples) -> None:
    loss = record_of(samples["inconclusive"]()).verdict.envelopes["loss"]

    assert np.isfinite(loss.candidate).all()
    assert np.isnan(loss.allowed).all()
    assert sparkline(record_of(samples["inconclusive"]()).verdict).count("<path") == 2
