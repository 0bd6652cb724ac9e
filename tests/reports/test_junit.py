from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.values.result import Result
from harness.values.verdict import Status
from reports import record_of
from reports.results.junit import encode_junit


def suite_of(results: list[Result]) -> ET.Element:
    suite = ET.fromstring(encode_junit([record_of(result) for result in results]).encode()).find("testsuite")  # noqa: S314  # our own
    assert suite is not None
    return suite


def test_only_pass_opens_a_gate(samples: dict[str, Callable[[], Result]]) -> None:
    results = [make() for make in samples.values()]
    suite = suite_of(results)

    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("9", "5", "2")
    for result, case in zip(results, suite.iter("testcase"), strict=True):
        assert (case.get("classname"), case.get("name")) == (f"alignment.{result.case}", "aligned")
        kind = {"FAIL": "failure", "INCONCLUSIVE": "failure", "ERROR": "error"}.get(result.verdict.status.value)
        trouble = [child for child in case if child.tag in {"failure", "error"}]
        assert [child.tag for child in trouble] == ([kind] if kind else [])
        for child in trouble:
            assert child.get("message") == result.verdict.reason
            assert child.get("type") == result.verdict.status.value.lower()
            assert result.command in (child.text or "")


def test_emulated_is_said(samples: dict[str, Callable[[], Result]]) -> None:
    suite = suite_of([samples[name]() for name in ("passing", "failing_by_buffers", "crashed")])
    said = [node.get("value") for node in suite.iter("property") if node.get("name") == "emulated"]

    assert said == ["yes: no evidence about real hardware", "no", "unknown"]
    said = [node.get("value") for node in suite.iter("property") if node.get("name") == "device"]
    assert said == ["emulated sdaa, tf32", "sdaa", "unknown device"]


def test_a_test_is_the_same_on_every_device(samples: dict[str, Callable[[], Result]]) -> None:
    """What a CI draws over its runs is found by class and name."""
    here = samples["passing"]()
    assert here.candidate is not None
    there = replace(here, candidate=replace(here.candidate, device=replace(here.candidate.device, kind="other")))
    one, other = (next(suite_of([result]).iter("testcase")) for result in (here, there))
    assert [one.get(name) for name in ("classname", "name")] == [other.get(name) for name in ("classname", "name")]


def test_an_excused_case_is_skipped_and_counted(samples: dict[str, Callable[[], Result]]) -> None:
    failing, passing = samples["failing_by_buffers"](), samples["passing"]()
    passing = replace(passing, verdict=replace(passing.verdict, case="another"))
    records = [record_of(failing), record_of(passing)]
    excused = {failing.case: "a known deviation: mend it", passing.case: "advisory"}
    suite = ET.fromstring(encode_junit(records, excused).encode()).find("testsuite")  # noqa: S314  # our own
    assert suite is not None
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["2", "0", "0", "1"]
    (skipped,) = suite.iter("skipped")
    assert "a known deviation: mend it" in (skipped.get("message") or "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters()))
def test_any_text_is_legal_xml(samples: dict[str, Callable[[], Result]], text: str) -> None:
    result = samples["crashed"]()
    verdict = replace(result.verdict, case=text, reason=text, status=Status.FAIL)

    suite = suite_of([replace(result, verdict=verdict, command=text, output=text)])

    assert suite.get("failures") == "1"
