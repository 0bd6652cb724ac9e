"""result.json: a record as strict JSON, and back.

Numbers that JSON can't hold are the strings ``"nan"``, ``"inf"`` and ``"-inf"``. Floats are written by ``repr`` and
come back to the bit. ``emulated`` and ``device`` repeat what the candidate's provenance says, so that a reader need not
dig; ``emulated`` is null where nothing was to be run, and a file in which they contradict the
provenance is refused.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from harness.store.provenance import provenance_from_json, provenance_to_json
from harness.values.provenance import Provenance
from harness.values.reproduction import Reproduction
from harness.values.verdict import Agreement, Envelope, Finding, LegacyResult, Outcome, Status, Verdict
from reports.errors import ResultError
from reports.record import BaselineNote, Record
from reports.shadow_json import read_evidence, rows_to_json, summary_to_json
from reports.strict_json import Fields, not_finite_as_text, read_object

__all__ = ["SCHEMA", "encode", "read_result"]

SCHEMA = 1

_SERIES = ("center", "allowed", "candidate", "deviation")


def encode(record: Record) -> str:
    """A record as JSON, ended by a line feed."""
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
        "provenance": {
            "reference": None if record.reference is None else provenance_to_json(record.reference),
            "candidate": None if record.candidate is None else provenance_to_json(record.candidate),
        },
        "loss": _envelope(verdict.envelopes.get("loss")),
        "shadow_ops": summary_to_json(verdict.shadow),
        "shadow": rows_to_json(verdict.shadow),
        "reproductions": [_reproduction(found) for found in record.reproductions],
        "output": record.output,
        "asked_device": record.asked_device,
    }
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    # A lone surrogate has no UTF-8. Its backslash escape is JSON's own, so it comes back as it was.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def read_result(path: Path) -> Record:
    """The record that a result.json holds.

    Raises:
        ResultError: the file is missing, half-written, too large, no strict JSON, of another schema, lacks a field, or
            contradicts itself.
    """
    read = read_object(path)
    if (schema := read.count("schema")) != SCHEMA:
        raise read.error("schema", "a result has another schema", schema, SCHEMA)
    record = _record(read)
    if (emulated := read.optional("emulated", Fields.flag)) != record.emulated:
        raise read.error("emulated", "a result contradicts its provenance", emulated, record.emulated)
    if (device := read.text("device")) != record.device:
        raise read.error("device", "a result contradicts its provenance", device, record.device)
    return record


def _record(read: Fields) -> Record:
    iterations = read.inner("iterations")
    provenance = read.inner("provenance")
    return Record(
        verdict=_read_verdict(read),
        candidate=provenance.optional("candidate", _read_provenance),
        reference=provenance.optional("reference", _read_provenance),
        baseline=read.optional("baseline", _read_note),
        planned=iterations.optional("planned", Fields.count),
        done=iterations.count("done"),
        seconds=read.number("seconds"),
        command=read.text("command"),
        output=read.text("output"),
        asked_device=read.text("asked_device"),
        reproductions=read.each("reproductions", _read_reproduction) if read.holds("reproductions") else (),
    )


def _read_verdict(read: Fields) -> Verdict:
    if (status := read.text("verdict")) not in Status.__members__:
        raise read.error("verdict", "a result has an unknown verdict", status, ", ".join(Status.__members__))
    loss = read.optional("loss", _read_envelope)
    return Verdict(
        case=read.text("case"),
        status=Status[status],
        reason=read.text("reason"),
        findings=read.each("findings", _read_finding),
        agreements=read.each("agreements", _read_agreement),
        legacy=read.optional("legacy", _read_legacy),
        aligned_tier=read.text("aligned_tier"),
        demanded_tier=read.text("demanded_tier"),
        envelopes={} if loss is None else {"loss": loss},
        shadow=read_evidence(read),
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


def _read_finding(fields: Fields, name: str) -> Finding:
    read = fields.inner(name)
    outcomes = [outcome.value for outcome in Outcome]
    if (status := read.text("status")) not in outcomes:
        raise read.error("status", "a finding has an unknown status", status, ", ".join(outcomes))
    return Finding(
        rule=read.text("rule"),
        status=Outcome(status),
        signal=read.text("signal"),
        message=read.text("message"),
        iteration=read.optional("iteration", Fields.count),
        observed=read.optional("observed", Fields.number),
        allowed=read.optional("allowed", Fields.number),
        smallest_detectable=read.optional("smallest_detectable", Fields.number),
        tier=read.text("tier"),
    )


def _reproduction(found: Reproduction) -> dict[str, object]:
    return {
        "number": found.number,
        "iteration": found.iteration,
        "part": found.part,
        "module": found.module,
        "op": found.op,
        "tensor": found.tensor,
        "note": found.note,
        "program": found.program or None,
        "rank": found.rank,
    }


def _read_reproduction(fields: Fields, name: str) -> Reproduction:
    read = fields.inner(name)
    return Reproduction(
        number=read.count("number"),
        iteration=read.count("iteration"),
        part=read.text("part"),
        module=read.text("module"),
        op=read.text("op"),
        tensor=read.text("tensor"),
        note=read.text("note"),
        program=read.optional("program", Fields.text) or "",
        rank=read.count("rank") if read.holds("rank") else 0,
    )


def _legacy(legacy: LegacyResult) -> dict[str, object]:
    return {
        "mean_relative_error": not_finite_as_text(legacy.mean_relative_error),
        "mean_absolute_error": not_finite_as_text(legacy.mean_absolute_error),
        "verdict": legacy.verdict,
        "lines": list(legacy.lines),
    }


def _read_legacy(fields: Fields, name: str) -> LegacyResult:
    read = fields.inner(name)
    return LegacyResult(
        mean_relative_error=read.number("mean_relative_error"),
        mean_absolute_error=read.number("mean_absolute_error"),
        verdict=read.text("verdict"),
        lines=read.each("lines", Fields.text),
    )


def _agreement(row: Agreement) -> dict[str, object]:
    return {
        "what": row.what,
        "reference": row.reference,
        "candidate": row.candidate,
        "required": bool(row.required),
        "agrees": bool(row.agrees),
    }


def _read_agreement(fields: Fields, name: str) -> Agreement:
    read = fields.inner(name)
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


def _read_note(fields: Fields, name: str) -> BaselineNote:
    read = fields.inner(name)
    runs = read.table("runs", Fields.count)
    return BaselineNote(read.text("reference"), read.text("recorded"), read.text("reason"), runs)


def _read_provenance(fields: Fields, name: str) -> Provenance:
    return provenance_from_json(fields.raw(name), name, ResultError)


def _envelope(envelope: Envelope | None) -> dict[str, object] | None:
    if envelope is None:
        return None
    series = {name: [not_finite_as_text(value) for value in getattr(envelope, name)] for name in _SERIES}
    return {"tier": envelope.tier, "iterations": [int(number) for number in envelope.iterations], **series}


def _read_envelope(fields: Fields, name: str) -> Envelope:
    read = fields.inner(name)
    iterations = np.array(read.each("iterations", Fields.count), dtype=np.int64)
    series = {each: np.array(read.each(each, Fields.number), dtype=np.float64) for each in _SERIES}
    for each, values in series.items():
        if len(values) != len(iterations):
            raise read.error(each, "a series has another length than its iterations", len(values), len(iterations))
    return Envelope(signal="loss", tier=read.text("tier"), iterations=iterations, **series)
