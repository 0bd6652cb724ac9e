"""junit.xml: a testcase a case, for the CI that gates a build."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET  # written, never read

from harness.values.verdict import Status
from reports.results.invocations import Part, parts_of
from reports.results.result_record import Record
from reports.words.legible import legible
from reports.words.terms_words import terms_lines

__all__ = ["encode_junit"]

_VIOLATIONS_LISTED = 20


_NAME = "aligned"
"""What is tested of a case. A test's identity is its class and name: the same on every device and build."""


def encode_junit(records: Sequence[Record], excused: Mapping[str, str] | None = None) -> str:
    """The records as JUnit XML: a class a case, with device, build and terms among its properties.

    Args:
        records: one or more.
        excused: case → why a gate doesn't depend on its verdict: it is skipped where it doesn't pass.

    FAIL is a failure; ERROR an error; INCONCLUSIVE a failure of type ``inconclusive``: only PASS opens a gate. Each
    invocation is a suite of its own, with when and where it began.
    """
    root = ET.Element("testsuites")
    for part in parts_of(records):
        root.append(_suite(part, excused or {}))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(part: Part, excused: Mapping[str, str]) -> ET.Element:
    records, made = part.records, part.invocation
    counted = [record for record in records if not _is_skipped(record, excused)]
    statuses = [record.verdict.status for record in counted]
    suite = ET.Element(
        "testsuite",
        name="alignment",
        tests=str(len(records)),
        failures=str(statuses.count(Status.FAIL) + statuses.count(Status.INCONCLUSIVE)),
        errors=str(statuses.count(Status.ERROR)),
        skipped=str(len(records) - len(counted)),
        time=_seconds(sum(record.seconds for record in records)),
    )
    if made is not None:
        suite.set("timestamp", legible(made.started))
        suite.set("hostname", legible(made.machine))
        properties = ET.SubElement(suite, "properties")
        for name in ("id", "command", "version", "commit"):
            ET.SubElement(properties, "property", name=f"invocation.{name}", value=legible(getattr(made, name)))
    for record in records:
        suite.append(_testcase(record, excused))
    return suite


def _is_skipped(record: Record, excused: Mapping[str, str]) -> bool:
    return record.verdict.case in excused and record.verdict.status is not Status.PASS


def _testcase(record: Record, excused: Mapping[str, str]) -> ET.Element:
    verdict = record.verdict
    device = record.device or "unknown device"
    case = ET.Element(
        "testcase",
        classname=legible(f"alignment.{verdict.case}"),
        name=_NAME,
        time=_seconds(record.seconds),
    )
    emulated = {True: "yes: no evidence about real hardware", False: "no", None: "unknown"}[record.emulated]
    properties = ET.SubElement(case, "properties")
    for name, value in (
        ("verdict", verdict.status.value),
        ("device", device),
        ("emulated", emulated),
        ("aligned_tier", verdict.aligned_tier),
        ("demanded_tier", verdict.demanded_tier),
        ("against", record.terms.against.value),
        ("false_alarm_rate", "" if record.terms.false_alarm_rate is None else f"{record.terms.false_alarm_rate:g}"),
        ("gate_size", str(record.terms.gate_size)),
        ("asked", ", ".join(record.terms.asked)),
        ("left_out", ", ".join(record.terms.left_out)),
        ("remarks", "; ".join(record.terms.remarks)),
        *_origin(record),
    ):
        ET.SubElement(properties, "property", name=name, value=legible(value))
    if _is_skipped(record, excused):
        ET.SubElement(case, "skipped", message=legible(f"{excused[verdict.case]}; {verdict.reason}"))
    elif verdict.status is not Status.PASS:
        kind = "error" if verdict.status is Status.ERROR else "failure"
        trouble = ET.SubElement(case, kind, message=legible(verdict.reason), type=verdict.status.value.lower())
        trouble.text = legible(_details(record))
    if record.output:
        ET.SubElement(case, "system-out").text = legible(record.output)
    return case


def _origin(record: Record) -> list[tuple[str, str]]:
    """The card, its build, the commit under test and the baseline, as far as the run said."""
    found = []
    if (candidate := record.candidate) is not None:
        found += [("device.name", candidate.device.name), ("commit", candidate.commit)]
        found += [(f"build.{name}", value) for name, value in candidate.device.build.items()]
        found += [(f"version.{name}", value) for name, value in candidate.versions.items()]
    if record.baseline is not None:
        found += [("baseline", record.baseline.reference), ("baseline.recorded", record.baseline.recorded)]
    return found


def _details(record: Record) -> str:
    violations = record.verdict.violations
    lines = [record.verdict.reason]
    lines += [f"{found.rule}, {found.signal}: {found.message}" for found in violations[:_VIOLATIONS_LISTED]]
    more = len(violations) - _VIOLATIONS_LISTED
    lines += [f"and {more} more violations"] if more > 0 else []
    lines += terms_lines(record.terms)
    lines += [f"reproduce: {record.command}"] if record.command else []
    return "\n".join(lines)


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}" if math.isfinite(seconds) else "0.000"
