"""Comparability: are the two sides the same experiment? It is asked before any curve is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.rules.envelope import watched_signals
from harness.rules.state import TOTALS
from harness.values.provenance import Provenance
from harness.values.trace import DEVICE_DRAWS, HOST_DRAWS, Trace
from harness.values.verdict import Agreement, Finding, Outcome

__all__ = ["RULE", "compare_provenance", "judge_comparability"]

RULE = "comparability"

_ABSENT = "—"

_NAMED = 3
"""Of many names those that are told."""

_OF_THE_DEVICE = frozenset({"seconds", "memory", DEVICE_DRAWS, HOST_DRAWS})
"""Signals of the device or the recorder, which another may have none of; ``random draws`` compares what was drawn."""


def compare_provenance(
    reference: Provenance,
    candidate: Provenance,
    reference_trace: Trace,
    candidate_trace: Trace,
    *,
    planned: int | None = None,
) -> tuple[Agreement, ...]:
    """The comparability table, what must agree first and what disagrees on top of it.

    Args:
        reference: where the reference's runs come from.
        candidate: where the candidate's run comes from.
        reference_trace: one of the reference's runs, for its batches.
        candidate_trace: the candidate's run.
        planned: how many iterations a run is to have that may still go on: then what it has so far must agree, before
            its first iteration where it comes from alone. Without it the run must have ended.
    """
    if planned is not None and not len(candidate_trace):
        return _ordered(_origins(reference, candidate), _shown(reference, candidate))
    batches = _batches(reference_trace, candidate_trace)
    data_root = _row("data root", reference.data_root or _ABSENT, candidate.data_root or _ABSENT)
    required = [
        *_origins(reference, candidate),
        _iterations(reference_trace, candidate_trace, planned),
        *([] if batches.agrees else [data_root]),  # equal data may lie elsewhere; other data are explained by it
        batches,
        _draws(reference_trace, candidate_trace),
        *_recorded(reference_trace, candidate_trace),
    ]
    shown = [*([replace(data_root, required=False)] if batches.agrees else []), *_shown(reference, candidate)]
    return _ordered(required, shown)


def _origins(reference: Provenance, candidate: Provenance) -> list[Agreement]:
    """What must agree and is known before the first iteration."""
    return [
        *_settings(reference.settings, candidate.settings),
        _row("case", reference.case, candidate.case),
        _row("seed", reference.seed, candidate.seed),
        _row("global batch", reference.global_batch, candidate.global_batch),
        _row("precision", reference.precision, candidate.precision),
        _digests("initial weights", reference.weights, candidate.weights),
    ]


def _shown(reference: Provenance, candidate: Provenance) -> list[Agreement]:
    """What may differ."""
    return [
        _row("device", reference.device.label, candidate.device.label, required=False),
        _row("device name", reference.device.name, candidate.device.name, required=False),
        _row("world size", reference.world_size, candidate.world_size, required=False),
        *_mapping("", reference.versions, candidate.versions),
        *_mapping("", reference.host, candidate.host),
        *_mapping("$", reference.environment, candidate.environment),
        _row("start weights", reference.start or _ABSENT, candidate.start or _ABSENT, required=False),
        _row("commit", reference.commit or _ABSENT, candidate.commit or _ABSENT, required=False),
    ]


def _ordered(required: Sequence[Agreement], shown: Sequence[Agreement]) -> tuple[Agreement, ...]:
    return (*sorted(required, key=lambda row: row.agrees), *shown)


def judge_comparability(agreements: tuple[Agreement, ...]) -> list[Finding]:
    """A finding for each property that must agree and doesn't; else one that passes.

    Args:
        agreements: the comparability table.
    """
    differing = [row for row in agreements if row.required and not row.agrees]
    if not differing:
        required = sum(row.required for row in agreements)
        return [Finding(RULE, Outcome.PASS, "*", f"the two sides are the same experiment in all {required} respects")]
    return [
        Finding(
            RULE,
            Outcome.INCONCLUSIVE,
            row.what,
            f"{row.what} is {row.reference} on the reference and {row.candidate} on the candidate",
        )
        for row in differing
    ]


def _settings(reference: Mapping[str, str], candidate: Mapping[str, str]) -> list[Agreement]:
    """One row for all settings that agree, and one for each that doesn't."""
    names = sorted({*reference, *candidate})
    differing = [name for name in names if reference.get(name) != candidate.get(name)]
    rows = [_row(name, reference.get(name, _ABSENT), candidate.get(name, _ABSENT)) for name in differing]
    if not differing:
        rows.append(Agreement("settings", f"{len(names)} settings", f"{len(names)} settings, all equal", True, True))
    return rows


def _iterations(reference: Trace, candidate: Trace, planned: int | None) -> Agreement:
    """A candidate may be watched for fewer iterations than the baseline holds, never for more."""
    whole = candidate.complete and len(candidate) == candidate.planned
    observed = str(len(candidate)) if whole else f"{len(candidate)} of {candidate.planned}"
    as_planned = candidate.complete if planned is None else candidate.planned == planned <= len(reference)
    as_planned = as_planned and (not candidate.complete or len(candidate) == candidate.planned)
    agrees = as_planned and 0 < len(candidate) <= len(reference)
    agrees = agrees and bool((candidate.iterations == reference.iterations[: len(candidate)]).all())
    return Agreement("iterations", str(len(reference)), observed, True, agrees)


def _batches(reference: Trace, candidate: Trace) -> Agreement:
    if not reference.batches or not candidate.batches:
        seen = ["recorded" if trace.batches else "not recorded" for trace in (reference, candidate)]
        return Agreement("batches", seen[0], seen[1], True, False)
    pairs = zip(reference.batches, candidate.batches, candidate.iterations, strict=False)
    for ours, theirs, iteration in pairs:
        if not ours or ours != theirs:
            return _digests(f"batches (from iteration {iteration})", ours, theirs)
    count = len(candidate.batches)
    return Agreement("batches", f"{count} digests", f"{count} digests, all equal", True, True)


def _draws(reference: Trace, candidate: Trace) -> Agreement:
    """Masks and whatever else is drawn at random: two devices' own generators never draw the same."""
    ours, theirs = (_first_draw(trace) for trace in (reference, candidate))
    said = ["on the host" if at is None else f"on the device at iteration {at}" for at in (ours, theirs)]
    if ours is None and theirs is None and (at := _first_other_draw(reference, candidate)) is not None:
        said[1] = f"as much as the reference up to iteration {at}, and then otherwise"
        return Agreement("random draws", said[0], said[1], True, False)
    return Agreement("random draws", said[0], said[1], True, ours is None and theirs is None)


def _first_other_draw(reference: Trace, candidate: Trace) -> int | None:
    """The first iteration in which the hosts didn't draw as much as each other; None where a trace doesn't tell."""
    if HOST_DRAWS not in reference.signals or HOST_DRAWS not in candidate.signals:
        return None
    common = min(len(reference), len(candidate))
    ours, theirs = (trace.signals[HOST_DRAWS][:common] for trace in (reference, candidate))
    other = np.flatnonzero(ours != theirs)
    return int(candidate.iterations[other[0]]) if len(other) else None


def _recorded(reference: Trace, candidate: Trace) -> Iterator[Agreement]:
    """What only the candidate has makes it another experiment: no bound holds it, and in silence it would pass.

    A further learning rate is another grouping of the parameters, a further component another loss, a further tensor
    another model, a further cell of a confusion matrix another set of classes. What the candidate lacks is judged by
    the rules as NaN, but for signals that no rule looks at: lacking those it is another experiment, too.
    """
    reference = reference.head(candidate.reached)  # a signal that begins later can't be there yet
    ours, theirs = (_signals_by_kind(trace) for trace in (reference, candidate))
    tables = (("tensors", "state"), ("answers in evaluation mode", "evaluation"))
    for what, table in tables:
        ours[what], theirs[what] = (dict.fromkeys(getattr(trace, table).names) for trace in (reference, candidate))
    further = {what: [name for name in names if name not in ours[what]] for what, names in theirs.items()}
    for what, names in further.items():
        if names:
            yield Agreement(f"further {what}", "none", _listed(names), True, False)
    judged = {*watched_signals(reference), *TOTALS}
    names = [*ours["loss components"], *ours["signals"]]
    if lacking := [name for name in names if name not in candidate.signals and name not in judged]:
        yield Agreement("signals that one side lacks", _listed(lacking), "none of them", True, False)
    if not any(further.values()) and not lacking:
        count = f"{sum(map(len, ours.values()))} signals, tensors and answers"
        yield Agreement("what is recorded", count, "nothing else", True, True)


def _signals_by_kind(trace: Trace) -> dict[str, dict[str, None]]:
    kinds: dict[str, dict[str, None]] = {"learning rates": {}, "loss components": {}, "signals": {}}
    components = set(trace.components)
    for name in trace.signals:
        rate = name == "lr" or name.startswith("lr.")
        kind = "learning rates" if rate else "loss components" if name in components else "signals"
        if name not in _OF_THE_DEVICE:
            kinds[kind][name] = None
    return kinds


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _first_draw(trace: Trace) -> int | None:
    drawn = np.flatnonzero(trace.signals.get(DEVICE_DRAWS, np.zeros(len(trace))))
    return int(trace.iterations[drawn[0]]) if len(drawn) else None


def _mapping(prefix: str, reference: Mapping[str, str], candidate: Mapping[str, str]) -> Iterator[Agreement]:
    for name in sorted({*reference, *candidate}):
        yield _row(prefix + name, reference.get(name, _ABSENT), candidate.get(name, _ABSENT), required=False)


def _row(what: str, reference: object, candidate: object, *, required: bool = True) -> Agreement:
    return Agreement(what, str(reference), str(candidate), required, reference == candidate)


def _digests(what: str, reference: str, candidate: str) -> Agreement:
    """Digests agree where they are there and equal: unknown is not equal to unknown."""
    agrees = bool(reference) and reference == candidate
    return Agreement(what, reference[:12] or _ABSENT, candidate[:12] or _ABSENT, True, agrees)
