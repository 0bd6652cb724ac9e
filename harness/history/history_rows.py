"""A row: what a history keeps of one result. Figures and words, no arrays: pages and traces stay with the report."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.rules.causes import causes_of
from harness.values.provenance import Provenance
from harness.values.verdict import Finding, Outcome
from reports import Record
from reports.results.json_result import encode

__all__ = ["BuildRow", "Row", "row_of"]

_OF_THE_CASE = frozenset({"case file"})
"""Versions that are a case's own: they say nothing of the build."""


@dataclass(frozen=True)
class BuildRow:
    """A build: what was under test, apart from the case.

    Args:
        key: digest of everything else but the label.
        device: the device's label.
        name: the card's name.
        table: ``build.driver`` → its version; also ``version.torch``, and so on.
        commit: of the code under test; empty where nothing says.
        label: what its makers call it; empty where nobody said.
    """

    key: str
    device: str
    name: str
    table: Mapping[str, str]
    commit: str
    label: str = ""


@dataclass(frozen=True)
class Row:
    """One result.

    Args:
        key: digest of the result: the same one is kept once.
        build: None where the run ended before it said what it ran on.
        invocation: id of the call of the command.
        case: name.
        device: label of the candidate's device, or the one that was asked for.
        started: UTC time, ISO 8601.
        machine: host's name.
        status: ``PASS``, ``FAIL``, ``INCONCLUSIVE`` or ``ERROR``.
        reason: the verdict's sentence.
        causes: the first one first; empty for a PASS.
        aligned_tier: the tightest tier at which it is aligned; empty for none.
        seconds: wall-clock time.
        measures: name → number, of what can drift while everything passes.
        sight: what the result could see: ``shadow`` (share of calls checked), ``detectable`` (smallest deviation of the
            loss that would have been called), ``iterations``, ``runs`` (healthy runs).
        left_out: what of the case's own gate was not asked.
        surroundings: environment variables and host, which may explain a change.
        source: where the result lay.
    """

    key: str
    build: BuildRow | None
    invocation: str
    case: str
    device: str
    started: str
    machine: str
    status: str
    reason: str
    causes: tuple[str, ...]
    aligned_tier: str
    seconds: float
    measures: Mapping[str, float] = field(default_factory=dict)
    sight: Mapping[str, float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    surroundings: Mapping[str, str] = field(default_factory=dict)
    source: str = ""


def row_of(record: Record, *, label: str = "", source: str = "") -> Row:
    """What is kept of a result.

    Args:
        record: as ``result.json`` holds it.
        label: what the build is called.
        source: where the result lies.
    """
    made, candidate = record.invocation, record.candidate
    started = made.started if made is not None else candidate.started if candidate is not None else ""
    return Row(
        key=hashlib.sha256(encode(record).encode()).hexdigest(),
        build=None if candidate is None else _build(candidate, made.commit if made else "", label),
        invocation=made.id if made is not None else "",
        case=record.verdict.case,
        device=record.device,
        started=started,
        machine=made.machine if made is not None else "",
        status=record.verdict.status.value,
        reason=record.verdict.reason,
        causes=causes_of(record.verdict),
        aligned_tier=record.verdict.aligned_tier,
        seconds=record.seconds if math.isfinite(record.seconds) else 0.0,
        measures={name: value for name, value in _measures(record) if math.isfinite(value)},
        sight={name: value for name, value in _sight(record) if math.isfinite(value)},
        left_out=record.terms.left_out,
        surroundings={} if candidate is None else _surroundings(candidate),
        source=source,
    )


def _build(candidate: Provenance, commit: str, label: str) -> BuildRow:
    device = candidate.device
    versions = {name: value for name, value in candidate.versions.items() if name not in _OF_THE_CASE}
    table = {
        **{f"build.{name}": value for name, value in device.build.items()},
        **{f"version.{name}": value for name, value in versions.items()},
    }
    commit = candidate.commit or commit
    key = json.dumps([device.label, device.name, table, commit], sort_keys=True)
    return BuildRow(hashlib.sha256(key.encode()).hexdigest()[:32], device.label, device.name, table, commit, label)


def _surroundings(candidate: Provenance) -> dict[str, str]:
    return {
        **{f"${name}": value for name, value in candidate.environment.items()},
        **{f"host.{name}": value for name, value in candidate.host.items()},
    }


def _measures(record: Record) -> Iterator[tuple[str, float]]:
    """Numbers of what can drift: nearness to a bound (1 is the bound), the loss's own deviation, effective bits."""
    for finding in record.verdict.findings:
        if (near := _nearness(finding)) is not None and "/" not in finding.signal and finding.rule != "shadow":
            yield f"nearness {finding.rule} {finding.signal}", near
    loss = record.verdict.envelopes.get("loss")
    judged = loss.deviation[~np.isnan(loss.deviation)] if loss is not None else np.empty(0)
    if len(judged):
        yield "deviation of the loss, mean", float(judged.mean())
    if (shadow := record.verdict.shadow) is not None:
        for precision in shadow.precisions:
            yield f"effective bits {precision.family}", precision.bits
        if shadow.rows:
            yield "nearness shadow", max(row.excess for row in shadow.rows)


def _nearness(finding: Finding) -> float | None:
    """How near a signal came to its bound: 1 is the bound."""
    if finding.observed is None or not finding.allowed or finding.status is Outcome.INFO:
        return None
    return abs(finding.observed) / finding.allowed


def _sight(record: Record) -> Iterator[tuple[str, float]]:
    """What the result could see."""
    yield "iterations", float(record.done)
    if record.verdict.shadow is not None:
        yield "shadow", record.verdict.shadow.coverage.rate
    seen = [f.smallest_detectable for f in record.verdict.findings if f.signal == "loss" and f.smallest_detectable]
    if seen:
        yield "detectable", min(seen)
    if record.baseline is not None and record.baseline.runs:
        yield "runs", float(min(record.baseline.runs.values()))
