import base64
import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from harness.values.result import Result
from reports import record_of
from reports.drawing.sparkline import sparkline
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
    assert "card 3, host node-7" in page


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
