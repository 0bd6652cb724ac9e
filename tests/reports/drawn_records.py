"""Records of every shape, drawn by hypothesis."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from harness.shadow.evidence.checks import Coverage, EffectivePrecision, Part, ShadowEvidence, ShadowRow
from harness.shadow.evidence.reproduction import Reproduction
from harness.values.invocation import Invocation
from harness.values.provenance import Device, Provenance
from harness.values.terms import Against, Terms
from harness.values.verdict import Agreement, Envelope, Finding, LegacyResult, Outcome, Status, Verdict
from reports import BaselineNote, Record

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=True, allow_infinity=True)
counts = st.integers(0, 2**53)
tables = st.dictionaries(texts, texts, max_size=3)

findings = st.builds(
    Finding,
    rule=texts,
    status=st.sampled_from(Outcome),
    signal=texts,
    message=texts,
    iteration=st.none() | counts,
    observed=st.none() | numbers,
    allowed=st.none() | numbers,
    smallest_detectable=st.none() | numbers,
    tier=texts,
)
provenances = st.builds(
    Provenance,
    case=texts,
    settings=tables,
    weights=texts,
    seed=counts,
    precision=texts,
    world_size=counts,
    global_batch=counts,
    iterations=counts,
    device=st.builds(Device, kind=texts, name=texts, emulated=st.booleans(), profile=texts, fault=texts, build=tables),
    versions=tables,
    environment=tables,
    host=tables,
    commit=texts,
    command=texts,
    started=texts,
)


@st.composite
def envelopes(draw: st.DrawFn) -> dict[str, Envelope]:
    count = draw(st.integers(0, 4))
    series = [np.array(draw(st.lists(numbers, min_size=count, max_size=count)), np.float64) for _ in range(4)]
    return draw(st.sampled_from([{}, {"loss": Envelope("loss", draw(texts), np.arange(count), *series)}]))


shadow_rows = st.builds(
    ShadowRow,
    iteration=counts,
    part=st.sampled_from(Part),
    module=texts,
    op=texts,
    tensor=texts,
    error=numbers,
    allowed=numbers,
    projection=numbers,
    allowed_projection=numbers,
    calls=counts,
)
evidences = st.builds(
    ShadowEvidence,
    iterations=st.lists(counts, max_size=3).map(tuple),
    tier=texts,
    rows=st.lists(shadow_rows, max_size=4).map(tuple),
    precisions=st.lists(
        st.builds(EffectivePrecision, family=texts, bits=numbers, expected=counts, calls=counts), max_size=3
    ).map(tuple),
    coverage=st.builds(
        Coverage,
        calls=st.dictionaries(texts, counts, max_size=3),
        checked=st.dictionaries(texts, counts, max_size=3),
        skipped=tables,
        fallen_back=st.lists(texts, max_size=2).map(tuple),
        programs=st.dictionaries(texts, counts, max_size=2),
        unchecked=st.dictionaries(texts, st.dictionaries(texts, counts, max_size=2), max_size=2),
    ),
    left_out=counts,
)

terms = st.builds(
    Terms,
    against=st.sampled_from(Against),
    false_alarm_rate=st.none() | st.floats(0.0, 1.0, exclude_min=True, exclude_max=True),
    gate_size=counts,
    asked=st.lists(texts, max_size=2).map(tuple),
    left_out=st.lists(texts, max_size=2).map(tuple),
    remarks=st.lists(texts, max_size=2).map(tuple),
)
invocations = st.builds(
    Invocation,
    id=texts,
    started=texts,
    command=texts,
    machine=texts,
    version=texts,
    commit=texts,
    cases=st.lists(texts, max_size=2).map(tuple),
)


def consistent(record: Record) -> Record:
    """The record with a verdict that follows from its findings; the samples have those that pass."""
    failed = any(finding.status is Outcome.FAIL for finding in record.verdict.findings)
    other = Status.INCONCLUSIVE if record.verdict.status is Status.PASS else Status.ERROR
    verdict = replace(record.verdict, status=Status.FAIL if failed else other, aligned_tier="")
    return replace(
        record, verdict=verdict, done=min(record.done, record.done if record.planned is None else record.planned)
    )


records = st.builds(
    Record,
    verdict=st.builds(
        Verdict,
        case=texts,
        status=st.sampled_from(Status),
        reason=texts,
        findings=st.lists(findings, max_size=3).map(tuple),
        agreements=st.lists(
            st.builds(
                Agreement, what=texts, reference=texts, candidate=texts, required=st.booleans(), agrees=st.booleans()
            ),
            max_size=2,
        ).map(tuple),
        legacy=st.none()
        | st.builds(
            LegacyResult,
            mean_relative_error=numbers,
            mean_absolute_error=numbers,
            verdict=texts,
            lines=st.lists(texts, max_size=4).map(tuple),
        ),
        aligned_tier=texts,
        demanded_tier=texts,
        envelopes=envelopes(),
        shadow=st.none() | evidences,
    ),
    candidate=st.none() | provenances,
    reference=st.none() | provenances,
    baseline=st.none()
    | st.builds(
        BaselineNote, reference=texts, recorded=texts, reason=texts, runs=st.dictionaries(texts, counts, max_size=2)
    ),
    planned=st.none() | counts,
    done=counts,
    seconds=numbers,
    command=texts,
    output=texts,
    reproductions=st.lists(
        st.builds(Reproduction, counts, counts, texts, texts, texts, texts, texts, texts, rank=counts), max_size=2
    ).map(tuple),
    terms=terms,
    invocation=st.none() | invocations,
).map(consistent)
