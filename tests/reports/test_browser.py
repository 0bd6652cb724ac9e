"""Pages in a real browser: what their script does, what axe says of them, and that hostile text runs nothing.

``tox -e browser`` has what this needs beside Chromium itself; elsewhere it is skipped.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.values.result import Result
from harness.values.verdict import Status
from reports import write, write_bundle

playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't here: tox -e browser")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe isn't here: tox -e browser")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is here: apt install chromium"),
]

HOSTILE = '</script><img src=x onerror="window.ran = 1"><script>window.ran = 1</script>'

Samples = dict[str, Callable[[], Result]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def named(result: Result, case: str, **changes: Any) -> Result:
    candidate = replace(result.candidate, case=case) if result.candidate is not None else None
    return replace(result, verdict=replace(result.verdict, case=case), candidate=candidate, **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, samples: Samples) -> Path:
    """A report of nine cases, one of which has a hostile name."""
    results = [named(make(), f"case_{at}", seconds=10.0 * (at * 5 % 9 + 1)) for at, make in enumerate(samples.values())]
    results[-1] = named(results[-1], HOSTILE)
    results[-1] = replace(results[-1], verdict=replace(results[-1].verdict, reason=f"shadow: {HOSTILE}"))
    out = tmp_path_factory.mktemp("report")
    write(results, out)
    return out


@pytest.fixture
def page(browser: Any, folder: Path) -> Iterator[Any]:
    """The index, opened from disk in a window of 1280 pixels."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.goto((folder / "index.html").as_uri())
    yield opened
    context.close()


def cases(page: Any) -> list[str]:
    """The names of the rows in sight, from the top."""
    return [name.strip() for name in page.locator("table.cases tbody tr:not(.group) th a").all_inner_texts()]


def test_the_index_filters_by_words_and_by_verdict(page: Any) -> None:
    assert len(cases(page)) == 9
    page.fill("#search", "case_3")
    assert cases(page) == ["case_3"]
    assert page.inner_text("#shown") == "1 of 9 cases"
    page.fill("#search", "")
    page.get_by_role("button", name="ERROR").click()
    assert page.locator("table.cases tbody tr .error").count() == len(cases(page)) == 2
    page.get_by_role("button", name="ERROR").click()
    assert len(cases(page)) == 9


def test_the_index_sorts_by_numbers_as_numbers(page: Any) -> None:
    def seconds() -> list[float]:
        found = page.locator("table.cases tbody td[data-by][data-label=Time]")
        return [float(found.nth(at).get_attribute("data-by")) for at in range(found.count())]

    page.get_by_role("button", name="Time").click()
    assert seconds() == sorted(seconds())
    assert page.locator("th[data-sort=time]").get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="Time").click()
    assert seconds() == sorted(seconds(), reverse=True)
    assert len(seconds()) == 9


def test_a_cause_leads_to_its_cases_and_a_case_to_its_figure(page: Any) -> None:
    page.select_option("#group", "cause")
    heads = page.locator("table.cases tr.group th").all_inner_texts()
    told = page.locator(".causes .sentence").all_inner_texts()
    assert {re.sub(r" \(\d+\)$", "", head) for head in heads} == {*told, "No cause was told"}
    page.locator(".causes button").first.click()
    assert 0 < len(cases(page)) < 9
    page.locator(".causes li a").first.click()
    figure = page.locator("figure img").first
    assert figure.is_visible()
    assert figure.evaluate("image => image.complete && image.naturalWidth > 0")
    assert page.locator("#answer").is_visible()


def test_the_pointer_over_a_curve_meets_the_values(page: Any) -> None:
    page.goto(page.url.replace("index.html", "case_1/report.html"))
    stripe = page.locator(".hover:visible rect").first
    stripe.scroll_into_view_if_needed()
    box = stripe.bounding_box()
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    met = page.evaluate("([x, y]) => document.elementFromPoint(x, y).textContent", middle)
    assert met.startswith("iteration 0\ncandidate ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_axe_finds_nothing_on_any_page(browser: Any, folder: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened = context.new_page()
    found = {}
    for name in ("index.html", "case_0/report.html", "case_1/report.html", "case_3/report.html", "case_4/report.html"):
        opened.goto((folder / name).as_uri())
        opened.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true })")
        violations = axe.Axe().run(opened).response["violations"]
        found[name] = [(each["id"], [node["html"][:120] for node in each["nodes"][:3]]) for each in violations]
        assert opened.evaluate("document.documentElement.scrollWidth") <= width, name
    context.close()
    assert not any(found.values()), found


def test_hostile_text_runs_nothing(page: Any, folder: Path) -> None:
    for group in ("cause", "verdict", "device"):
        page.select_option("#group", group)
    assert HOSTILE in cases(page)
    for place in folder.glob("*/report.html"):
        page.goto(place.as_uri())
        assert page.evaluate("window.ran === undefined")
    page.goto((folder / "index.html").as_uri())
    page.select_option("#group", "cause")
    assert page.evaluate("window.ran === undefined")


def test_without_script_it_is_a_plain_table(browser: Any, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto((folder / "index.html").as_uri())

    assert len(cases(opened)) == 9
    assert not opened.locator(".tools").is_visible()
    context.close()


def test_one_file_holds_the_index_and_its_pages(browser: Any, folder: Path, tmp_path: Path) -> None:
    records = write_bundle([folder], tmp_path / "report.html")
    assert {record.verdict.status for record in records} == set(Status)
    context = browser.new_context()
    opened = context.new_page()
    opened.goto((tmp_path / "report.html").as_uri())
    opened.get_by_role("link", name="case_1").first.click()
    frame = opened.frame_locator("iframe[title=case_1]")

    assert frame.locator("h1").inner_text() == "case_1"
    assert frame.locator(".verdict").inner_text().strip() == "FAIL"
    assert opened.evaluate("window.ran === undefined")
    context.close()
