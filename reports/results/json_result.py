"""result.json: a record as strict JSON, and back.

Numbers that JSON can't hold are the strings ``"nan"``, ``"inf"`` and ``"-inf"``. Floats are written by ``repr`` and
come back to the bit. ``emulated`` and ``device`` repeat what the candidate's provenance says, so that a reader need not
dig; ``emulated`` is null where nothing was to be run.

``checksum`` is the SHA-256 of everything else, as JSON with sorted names. It finds accidents: a half-copied file, a
changed digit. It stops nobody who edits a result and computes it anew. So what was read must also be what this version
would write, to the last field, and its verdict must follow from its findings (``contradictions``). Whoever makes up
findings and all isn't found out by either: results are evidence as good as the machine that they come from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.shadow.evidence.cause import Cause
from harness.shadow.evidence.checks import Coverage, EffectivePrecision, ShadowEvidence, ShadowRow
from harness.shadow.evidence.reproduction import Reproduction
from harness.store.atomic import read_bytes
from harness.store.decoding import convert_value, decode_plain, encode_value
from harness.values.bounds import Count
from harness.values.invocation import Invocation
from harness.values.provenance import Provenance
from harness.values.terms import Terms
from harness.values.trace import FloatArray
from harness.values.verdict import Agreement, Envelope, Finding, LegacyResult, Status, Verdict
from reports.results.contradictions import contradictions
from reports.results.result_error import ResultError
from reports.results.result_record import BaselineNote, Record

__all__ = ["SCHEMA", "ResultContent", "encode", "read_result"]

SCHEMA = 4
"""2: checksum, terms and invocation, and a verdict that follows from its findings. 4: card and host."""

_OTHER_SCHEMA = "another version of align wrote it: read it with that one, or judge the case again (align verify)"


@dataclass(frozen=True)
class _Iterations:
    planned: Count | None
    done: Count


@dataclass(frozen=True)
class _Sides:
    reference: Provenance | None
    candidate: Provenance | None


@dataclass(frozen=True)
class _Loss:
    """The loss's envelope; every series has a value for each iteration."""

    tier: str
    iterations: tuple[Count, ...]
    center: tuple[float, ...]
    allowed: tuple[float, ...]
    candidate: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.center), len(self.allowed), len(self.candidate), len(self.deviation)}
        if lengths != {len(self.iterations)}:
            raise ValueError("a series of the loss has another length than its iterations")


@dataclass(frozen=True)
class _Coverage:
    rate: float
    calls: Mapping[str, Count]
    checked: Mapping[str, Count]
    skipped: Mapping[str, str]
    fallen_back: tuple[str, ...]
    programs: Mapping[str, Count]
    unchecked: Mapping[str, Mapping[str, Count]]


@dataclass(frozen=True)
class _ShadowOps:
    tier: str
    iterations: tuple[Count, ...]
    rows_left_out: Count
    coverage: _Coverage
    precisions: tuple[EffectivePrecision, ...]
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True)
class _Reproduction:
    """``program`` is its place beside the result, null where it has none."""

    number: Count
    iteration: Count
    part: str
    module: str
    op: str
    tensor: str
    note: str
    program: str | None
    rank: Count


@dataclass(frozen=True)
class ResultContent:
    """The fields of the document, in their order, without schema and checksum."""

    case: str
    device: str
    emulated: bool | None
    verdict: Status
    reason: str
    aligned_tier: str
    demanded_tier: str
    terms: Terms
    iterations: _Iterations
    seconds: float
    command: str
    invocation: Invocation | None
    findings: tuple[Finding, ...]
    legacy: LegacyResult | None
    agreements: tuple[Agreement, ...]
    baseline: BaselineNote | None
    provenance: _Sides
    loss: _Loss | None
    shadow_ops: _ShadowOps | None
    shadow: tuple[ShadowRow, ...]
    reproductions: tuple[_Reproduction, ...]
    output: str
    asked_device: str
    card: str
    host: str


def encode(record: Record) -> str:
    """A record as JSON, ended by a line feed."""
    content = json.loads(encode_value(_content(record)))  # as it is read again: the checksum is of what the file holds
    return encode_value({"schema": SCHEMA, "checksum": _checksum(content), **content})


def read_result(path: Path) -> Record:
    """The record that a result.json holds.

    Raises:
        ResultError: the file is missing, half-written, too large, no strict JSON, of another schema, lacks a field, was
            changed, or contradicts itself.
    """
    content = decode_plain(read_bytes(path, ResultError), path, ResultError)
    if not isinstance(content, dict):
        raise ResultError("a result is no JSON object", where=path, observed=type(content).__name__)
    schema, claimed = content.pop("schema", None), content.pop("checksum", None)
    if type(schema) is not int or schema != SCHEMA:
        observed = repr(schema)[:40]
        raise ResultError(
            "a result has another schema", where=path, observed=observed, allowed=SCHEMA, hint=_OTHER_SCHEMA
        )
    if claimed != (checksum := _checksum(content)):
        raise ResultError(
            "a result was changed or is cut short",
            where=path,
            observed=f"SHA-256 {checksum}",
            allowed=repr(claimed)[:80],
            hint="fetch it again, or judge the case again: align verify",
        )
    read = _canonical(content)  # before it is converted, which may change it
    record = _record(convert_value(content, ResultContent, path, ResultError))
    written = json.loads(encode_value(_content(record)))
    if read != _canonical(written):
        names = [name for name in written if _canonical(written[name]) != _canonical(json.loads(read).get(name))]
        raise ResultError("a result contradicts itself", where=f"{path}: {', '.join(names)}")
    if found := next(contradictions(record), None):
        raise ResultError("a result contradicts itself", where=path, observed=found)
    return record


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def _content(record: Record) -> ResultContent:
    verdict = record.verdict
    shadow = verdict.shadow
    return ResultContent(
        case=verdict.case,
        device=record.device,
        emulated=record.emulated,
        verdict=verdict.status,
        reason=verdict.reason,
        aligned_tier=verdict.aligned_tier,
        demanded_tier=verdict.demanded_tier,
        terms=record.terms,
        iterations=_Iterations(record.planned, record.done),
        seconds=record.seconds,
        command=record.command,
        invocation=record.invocation,
        findings=verdict.findings,
        legacy=verdict.legacy,
        agreements=verdict.agreements,
        baseline=record.baseline,
        provenance=_Sides(record.reference, record.candidate),
        loss=_loss(verdict.envelopes.get("loss")),
        shadow_ops=None if shadow is None else _shadow_ops(shadow),
        shadow=() if shadow is None else shadow.rows,
        reproductions=tuple(_reproduction(found) for found in record.reproductions),
        output=record.output,
        asked_device=record.asked_device,
        card=record.card,
        host=record.host,
    )


def _record(content: ResultContent) -> Record:
    loss = content.loss
    return Record(
        verdict=Verdict(
            case=content.case,
            status=content.verdict,
            reason=content.reason,
            findings=content.findings,
            agreements=content.agreements,
            legacy=content.legacy,
            aligned_tier=content.aligned_tier,
            demanded_tier=content.demanded_tier,
            envelopes={} if loss is None else {"loss": _envelope(loss)},
            shadow=_evidence(content),
        ),
        candidate=content.provenance.candidate,
        reference=content.provenance.reference,
        baseline=content.baseline,
        planned=content.iterations.planned,
        done=content.iterations.done,
        seconds=content.seconds,
        command=content.command,
        output=content.output,
        asked_device=content.asked_device,
        card=content.card,
        host=content.host,
        reproductions=tuple(
            Reproduction(**{**asdict(found), "program": found.program or ""}) for found in content.reproductions
        ),
        terms=content.terms,
        invocation=content.invocation,
    )


def _loss(envelope: Envelope | None) -> _Loss | None:
    if envelope is None:
        return None

    def series(values: FloatArray) -> tuple[float, ...]:
        return tuple(np.asarray(values, np.float64).tolist())

    return _Loss(
        tier=envelope.tier,
        iterations=tuple(int(number) for number in envelope.iterations),
        center=series(envelope.center),
        allowed=series(envelope.allowed),
        candidate=series(envelope.candidate),
        deviation=series(envelope.deviation),
    )


def _envelope(loss: _Loss) -> Envelope:
    series = [np.array(values, np.float64) for values in (loss.center, loss.allowed, loss.candidate, loss.deviation)]
    return Envelope("loss", loss.tier, np.array(loss.iterations, np.int64), *series)


def _shadow_ops(evidence: ShadowEvidence) -> _ShadowOps:
    coverage = evidence.coverage
    return _ShadowOps(
        tier=evidence.tier,
        iterations=evidence.iterations,
        rows_left_out=evidence.left_out,
        coverage=_Coverage(
            rate=coverage.rate,
            calls=coverage.calls,
            checked=coverage.checked,
            skipped=coverage.skipped,
            fallen_back=coverage.fallen_back,
            programs=coverage.programs,
            unchecked=coverage.unchecked,
        ),
        precisions=evidence.precisions,
        causes=evidence.causes,
    )


def _evidence(content: ResultContent) -> ShadowEvidence | None:
    ops = content.shadow_ops
    if ops is None:
        return None
    fields = {name: value for name, value in asdict(ops.coverage).items() if name != "rate"}
    return ShadowEvidence(
        iterations=ops.iterations,
        tier=ops.tier,
        rows=content.shadow,
        precisions=ops.precisions,
        coverage=Coverage(**fields),
        left_out=ops.rows_left_out,
        causes=ops.causes,
    )


def _reproduction(found: Reproduction) -> _Reproduction:
    return _Reproduction(
        number=found.number,
        iteration=found.iteration,
        part=found.part,
        module=found.module,
        op=found.op,
        tensor=found.tensor,
        note=found.note,
        program=found.program or None,
        rank=found.rank,
    )
