"""junit.xml: a testcase a case, for the CI that gates a build."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree import ElementTree as ET  # written, never read

from harness.values.verdict import Status
from reports.results.invocations import Part, parts_of
from reports.results.result_record import Record
from reports.words.legible import legible
from reports.words.terms_words import terms_lines

__all__ = ["encode_junit"]

_VIOLATIONS_LISTED = 20


def encode_junit(records: Sequence[Record]) -> str:
    """The records as JUnit XML.

    FAIL is a failure; ERROR an error; INCONCLUSIVE a failure of type ``inconclusive``: only PASS opens a gate. Each
    invocation is a suite of its own, with when and where it began.
    """
    root = ET.Element("testsuites")
    for part in parts_of(records):
        root.append(_suite(part))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(part: Part) -> ET.Element:
    records, made = part.records, part.invocation
    statuses = [record.verdict.status for record in records]
    suite = ET.Element(
        "testsuite",
        name="alignment",
        tests=str(len(records)),
        failures=str(statuses.count(Status.FAIL) + statuses.count(Status.INCONCLUSIVE)),
        errors=str(statuses.count(Status.ERROR)),
        skipped="0",
        time=_seconds(sum(record.seconds for record in records)),
    )
    if made is not None:
        suite.set("timestamp", legible(made.started))
        suite.set("hostname", legible(made.machine))
        properties = ET.SubElement(suite, "properties")
        for name in ("id", "command", "version", "commit"):
            ET.SubElement(properties, "property", name=f"invocation.{name}", value=legible(getattr(made, name)))
    for record in records:
        suite.append(_testcase(record))
    return suite


def _testcase(record: Record) -> ET.Element:
    verdict = record.verdict
    device = record.device or "unknown device"
    case = ET.Element(
        "testcase",
        classname=legible(f"alignment.{device}"),
        name=legible(verdict.case),
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
    ):
        ET.SubElement(properties, "property", name=name, value=legible(value))
    if verdict.status is not Status.PASS:
        kind = "error" if verdict.status is Status.ERROR else "failure"
        trouble = ET.SubElement(case, kind, message=legible(verdict.reason), type=verdict.status.value.lower())
        trouble.text = legible(_details(record))
    if record.output:
        ET.SubElement(case, "system-out").text = legible(record.output)
    return case


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
