"""Results belong to the call of a command that made them; none of an earlier one stands in for what is missing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import reports
from harness.values.invocation import Invocation
from harness.values.result import Result
from harness.values.terms import Terms
from harness.values.verdict import Status
from reports.results.invocations import describe_parts, parts_of, warnings_of

CASES = ("a", "b", "c")


def called(number: int, *, machine: str = "host", cases: tuple[str, ...] = CASES) -> Invocation:
    started = f"2026-11-29T0{number}:00:00+00:00"
    return Invocation(f"{number:032x}", started, "align verify a b c", machine, "0.1.0", "0123456789ab", cases)


@pytest.fixture
def judged(samples: dict[str, Callable[[], Result]]) -> Callable[[str, Invocation], Result]:
    def make(case: str, invocation: Invocation) -> Result:
        result = samples["passing"]()
        assert result.candidate is not None
        candidate = replace(result.candidate, case=case)
        verdict = replace(result.verdict, case=case)
        return replace(result, verdict=verdict, candidate=candidate, invocation=invocation)

    return make


def write(out: Path, invocation: Invocation, judged: Callable[[str, Invocation], Result], *, done: int) -> None:
    """A command that is killed when it has judged ``done`` of its cases."""
    report = reports.Report(out, invocation.cases, invocation)
    for case in invocation.cases[:done]:
        report.add(judged(case, invocation))


def statuses(out: Path) -> dict[str, Status]:
    return {record.verdict.case: record.verdict.status for record in reports.merge([out], out).records}


Judged = Callable[[str, Invocation], Result]


def test_an_earlier_pass_does_not_stand_in_for_what_was_not_run(tmp_path: Path, judged: Judged) -> None:
    write(tmp_path, called(1), judged, done=3)
    assert set(statuses(tmp_path).values()) == {Status.PASS}

    write(tmp_path, called(2), judged, done=1)

    assert statuses(tmp_path) == {"a": Status.PASS, "b": Status.ERROR, "c": Status.ERROR}
    assert "not run" in (tmp_path / "b" / "report.html").read_text()
    assert not (tmp_path / "b" / "trace.csv").exists()


@pytest.mark.parametrize("killed_after", [0, 1, 2])
def test_a_planned_case_without_a_result_is_an_error(tmp_path: Path, judged: Judged, killed_after: int) -> None:
    write(tmp_path, called(1), judged, done=killed_after)
    for case in CASES[1:]:
        (tmp_path / case / "result.json").unlink()

    found = statuses(tmp_path)

    assert {case for case, status in found.items() if status is Status.ERROR} == set(CASES[min(killed_after, 1) :])


def test_a_result_that_was_copied_alone_is_read_alone(tmp_path: Path, judged: Judged) -> None:
    write(tmp_path / "out", called(1), judged, done=3)
    (tmp_path / "sent").mkdir()
    (tmp_path / "out" / "a" / "result.json").rename(tmp_path / "sent" / "mine.json")

    merged = reports.merge([tmp_path / "sent" / "mine.json"], tmp_path / "merged")

    assert [record.verdict.status for record in merged.records] == [Status.PASS]


def test_what_lies_together_and_was_not_judged_together_is_named(tmp_path: Path, judged: Judged) -> None:
    write(tmp_path, called(1), judged, done=3)
    write(tmp_path, called(2, cases=("b",)), judged, done=1)
    write(tmp_path / "other", called(3, machine="another", cases=("b",)), judged, done=1)

    merged = reports.merge([tmp_path], tmp_path)
    parts = parts_of(merged.records)

    assert [(part.invocation and part.invocation.started, len(part.records)) for part in parts] == [
        ("2026-11-29T01:00:00+00:00", 2),
        ("2026-11-29T02:00:00+00:00", 1),
        ("2026-11-29T03:00:00+00:00", 1),
    ]
    assert describe_parts(parts)[0] == (
        "2 results of 3 planned of 2026-11-29T01:00:00+00:00 on host (00000000), align 0.1.0, commit 0123456789ab: "
        "align verify a b c"
    )
    assert warnings_of(parts) == [
        "2 invocations on host lie together here: results of different times, not of one gate"
    ]
    page = merged.index.read_text()
    assert warnings_of(parts)[0] in page
    assert all(line in page for line in describe_parts(parts))
    suites = ET.parse(tmp_path / "junit.xml").getroot().findall("testsuite")  # noqa: S314  # our own
    assert [suite.get("timestamp") for suite in suites] == [
        part.invocation.started for part in parts if part.invocation is not None
    ]
    assert [suite.get("hostname") for suite in suites] == ["host", "host", "another"]
    assert [suite.get("tests") for suite in suites] == ["2", "1", "1"]


def test_a_case_that_was_judged_twice_on_a_machine_is_named(tmp_path: Path, judged: Judged) -> None:
    for number in (1, 2):
        write(tmp_path / str(number), called(number, cases=("a",)), judged, done=1)

    parts = parts_of(reports.merge([tmp_path], tmp_path).records)

    assert warnings_of(parts)[1:] == ["a was judged 2 times on host: each of its results counts"]


def test_one_invocation_warns_of_nothing(tmp_path: Path, judged: Judged) -> None:
    write(tmp_path, called(1), judged, done=3)
    assert warnings_of(parts_of(reports.merge([tmp_path], tmp_path).records)) == []


@pytest.mark.parametrize(
    ("cases", "rate", "size", "said"),
    [
        (4, 0.001 / 4, 4, []),
        (1, 0.001, 1, []),
        (3, 0.001 / 4, 4, ["3 of the 4 cases of a gate lie here"]),
        (1, 0.001 / 4, 4, ["1 of the 4 cases of a gate lies here"]),
        (
            4,
            0.001,
            1,
            [
                "a healthy port fails one of these results with a chance of up to 0.004, not 0.001: each was judged as "
                "one of 1; --gate-size 4 divides it"
            ],
        ),
        (2, None, 1, []),
    ],
)
def test_results_that_are_no_whole_gate_are_named(
    judged: Judged, cases: int, rate: float | None, size: int, said: list[str]
) -> None:
    """Of a CI that judges one case a job: each on a machine of its own."""
    results = [judged(f"case_{at}", called(at, machine=f"host-{at}", cases=(f"case_{at}",))) for at in range(cases)]
    terms = Terms(false_alarm_rate=rate, gate_size=size)
    assert warnings_of(parts_of(reports.record_of(replace(result, terms=terms)) for result in results)) == said
