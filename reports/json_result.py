"""result.json: a record as strict JSON, and back.

Numbers that JSON can't hold are the strings ``"nan"``, ``"inf"`` and ``"-inf"``. Floats are written by ``repr`` and
come back to the bit. ``emulated`` and ``device`` repeat what the candidate's provenance says, so that a reader need not
dig; ``emulated`` is null where the run ended before it said what it ran on, and a file in which they contradict the
provenance is refused.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np

from harness.values.errors import AlignmentError
from harness.values.provenance import Device, Provenance
from harness.values.verdict import Agreement, Envelope, Finding, LegacyResult, Outcome, Status, Verdict
from reports.errors import ResultError
from reports.record import BaselineNote, Record
from reports.strict_json import Fields, not_finite_as_text, read_object

__all__ = ["SCHEMA", "encode", "read_result"]

SCHEMA = 1

_SERIES = ("center", "allowed", "candidate", "deviation")


def encode(record: Record) -> bytes:
    """A record as UTF-8 JSON, ended by a line feed."""
    verdict = record.verdict
    content = {
        "schema": SCHEMA,
        "case": verdict.case,
        "device": record.device,
        "emulated": record.emulated,
        "verdict": verdict.status.value,
        "reason": verdict.reason,
        "aligned_tier": verdict.aligned_tier,
        "demanded_tier": verdict.demanded_tier,
        "iterations": {"planned": record.planned, "done": record.done},
        "seconds": not_finite_as_text(record.seconds),
        "command": record.command,
        "findings": [_finding(finding) for finding in verdict.findings],
        "legacy": None if verdict.legacy is None else _legacy(verdict.legacy),
        "agreements": [_agreement(agreement) for agreement in verdict.agreements],
        "baseline": None if record.baseline is None else _note(record.baseline),
        "provenance": {"reference": _provenance(record.reference), "candidate": _provenance(record.candidate)},
        "loss": _envelope(verdict.envelopes.get("loss")),
        "output": record.output,
    }
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    # A lone surrogate has no UTF-8; its backslash escape is the JSON escape, so it comes back as it was.
    return text.encode("utf-8", "backslashreplace")


def read_result(path: Path) -> Record:
    """The record that a result.json holds.

    Raises:
        ResultError: the file is missing, half-written, larger than 32 MiB, no strict JSON, of another schema, lacks a
            field, or contradicts itself.
    """
    read = read_object(path)
    if (schema := read.count("schema")) != SCHEMA:
        raise read.error("schema", "a result has another schema", schema, SCHEMA)
    try:
        record = _record(read)
    except ResultError:
        raise
    except (AlignmentError, ValueError) as error:
        raise ResultError("a result contradicts itself", where=path, observed=error) from error
    if read.optional("emulated", read.flag) != record.emulated:
        raise read.error("emulated", "a result contradicts its provenance", not record.emulated, record.emulated)
    if (device := read.text("device")) != record.device:
        raise read.error("device", "a result contradicts its provenance", device, record.device)
    return record


def _record(read: Fields) -> Record:
    iterations = read.inner("iterations")
    provenance = read.inner("provenance")
    return Record(
        verdict=_verdict_from(read),
        candidate=provenance.optional("candidate", lambda name: _provenance_from(provenance.inner(name))),
        reference=provenance.optional("reference", lambda name: _provenance_from(provenance.inner(name))),
        baseline=read.optional("baseline", lambda name: _note_from(read.inner(name))),
        planned=iterations.optional("planned", iterations.count),
        done=iterations.count("done"),
        seconds=read.number("seconds"),
        command=read.text("command"),
        output=read.text("output"),
    )


def _verdict_from(read: Fields) -> Verdict:
    loss = read.optional("loss", lambda name: _envelope_from(read.inner(name)))
    return Verdict(
        case=read.text("case"),
        status=Status(read.text("verdict")),
        reason=read.text("reason"),
        findings=tuple(_finding_from(each) for each in read.inners("findings")),
        agreements=tuple(_agreement_from(each) for each in read.inners("agreements")),
        legacy=read.optional("legacy", lambda name: _legacy_from(read.inner(name))),
        aligned_tier=read.text("aligned_tier"),
        demanded_tier=read.text("demanded_tier"),
        envelopes={} if loss is None else {"loss": loss},
    )


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "rule": finding.rule,
        "status": finding.status.value,
        "signal": finding.signal,
        "iteration": None if finding.iteration is None else int(finding.iteration),
        "observed": not_finite_as_text(finding.observed),
        "allowed": not_finite_as_text(finding.allowed),
        "smallest_detectable": not_finite_as_text(finding.smallest_detectable),
        "tier": finding.tier,
        "message": finding.message,
    }


def _finding_from(read: Fields) -> Finding:
    return Finding(
        rule=read.text("rule"),
        status=Outcome(read.text("status")),
        signal=read.text("signal"),
        message=read.text("message"),
        iteration=read.optional("iteration", read.count),
        observed=read.optional("observed", read.number),
        allowed=read.optional("allowed", read.number),
        smallest_detectable=read.optional("smallest_detectable", read.number),
        tier=read.text("tier"),
    )


def _legacy(legacy: LegacyResult) -> dict[str, object]:
    return {
        "mean_relative_error": not_finite_as_text(legacy.mean_relative_error),
        "mean_absolute_error": not_finite_as_text(legacy.mean_absolute_error),
        "verdict": legacy.verdict,
        "lines": list(legacy.lines),
    }


def _legacy_from(read: Fields) -> LegacyResult:
    return LegacyResult(
        mean_relative_error=read.number("mean_relative_error"),
        mean_absolute_error=read.number("mean_absolute_error"),
        verdict=read.text("verdict"),
        lines=read.texts("lines"),
    )


def _agreement(row: Agreement) -> dict[str, object]:
    return {
        "what": row.what,
        "reference": row.reference,
        "candidate": row.candidate,
        "required": bool(row.required),
        "agrees": bool(row.agrees),
    }


def _agreement_from(read: Fields) -> Agreement:
    return Agreement(
        what=read.text("what"),
        reference=read.text("reference"),
        candidate=read.text("candidate"),
        required=read.flag("required"),
        agrees=read.flag("agrees"),
    )


def _note(note: BaselineNote) -> dict[str, object]:
    return {
        "reference": note.reference,
        "recorded": note.recorded,
        "reason": note.reason,
        "runs": dict(note.runs),
    }


def _note_from(read: Fields) -> BaselineNote:
    return BaselineNote(read.text("reference"), read.text("recorded"), read.text("reason"), read.counters("runs"))


def _provenance(provenance: Provenance | None) -> dict[str, object] | None:
    if provenance is None:
        return None
    content = {field.name: getattr(provenance, field.name) for field in fields(provenance)}
    device = {field.name: getattr(provenance.device, field.name) for field in fields(provenance.device)}
    device["build"] = dict(provenance.device.build)
    mappings = {name: dict(content[name]) for name in ("settings", "versions", "environment", "host")}
    return content | mappings | {"device": device}


def _provenance_from(read: Fields) -> Provenance:
    device = read.inner("device")
    return Provenance(
        case=read.text("case"),
        settings=read.mapping("settings"),
        weights=read.text("weights"),
        seed=read.count("seed"),
        precision=read.text("precision"),
        world_size=read.count("world_size"),
        global_batch=read.count("global_batch"),
        iterations=read.count("iterations"),
        device=Device(
            kind=device.text("kind"),
            name=device.text("name"),
            emulated=device.flag("emulated"),
            profile=device.text("profile"),
            fault=device.text("fault"),
            build=device.mapping("build"),
        ),
        versions=read.mapping("versions"),
        environment=read.mapping("environment"),
        host=read.mapping("host"),
        commit=read.text("commit"),
        command=read.text("command"),
        started=read.text("started"),
    )


def _envelope(envelope: Envelope | None) -> dict[str, object] | None:
    if envelope is None:
        return None
    series = {name: [not_finite_as_text(value) for value in getattr(envelope, name)] for name in _SERIES}
    return {"tier": envelope.tier, "iterations": [int(number) for number in envelope.iterations], **series}


def _envelope_from(read: Fields) -> Envelope:
    iterations = np.array(read.counts("iterations"), dtype=np.int64)
    series = {name: np.array(read.numbers(name), dtype=np.float64) for name in _SERIES}
    for name, values in series.items():
        if len(values) != len(iterations):
            raise read.error(name, "a series has another length than its iterations", len(values), len(iterations))
    return Envelope(signal="loss", tier=read.text("tier"), iterations=iterations, **series)
