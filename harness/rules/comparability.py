"""Comparability: are the two sides the same experiment? It is asked before any curve is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.rules.envelope import watched_signals
from harness.rules.rank_agreement import OF_RANKS
from harness.rules.state import TOTALS
from harness.values.provenance import Provenance
from harness.values.sampling import EVERY_NTH
from harness.values.trace import DEVICE_DRAWS, HOST_DRAWS, PIECE, Trace
from harness.values.verdict import Agreement, Finding, Outcome

__all__ = ["NO_SETTINGS", "RULE", "accepted_differences", "compare_provenance", "judge_comparability"]

RULE = "comparability"

_ABSENT = "—"

_NAMED = 3
"""Of many names those that are told."""

NO_SETTINGS = frozenset(
    {
        *("batches", "data root", "initial weights", "seed", "global batch", "precision", "case", "iterations"),
        *("random draws", "settings", "restarts", "sample"),
    }
)
"""What must agree and is no setting: runs that differ in it have nothing to be held against each other by."""

_OF_DATA = ("train_dataloader", "randomness")
_OF_OPTIMIZER = ("optim_wrapper", "optimizer", "param_scheduler")
"""Fields of a config whose settings change the training most; a watched loop's are named alike."""

_OF_THE_DEVICE = frozenset({"seconds", "memory", DEVICE_DRAWS, HOST_DRAWS, PIECE})
"""Signals of the device or the recorder, which another may have none of; ``random draws`` compares what was drawn, and
``restarts`` where pieces begin."""


def compare_provenance(
    reference: Provenance,
    candidate: Provenance,
    reference_trace: Trace,
    candidate_trace: Trace,
    *,
    planned: int | None = None,
    same: Sequence[str] = (),
) -> tuple[Agreement, ...]:
    """The comparability table, what must agree first and what disagrees on top of it, by how much it changes.

    Args:
        reference: where the reference's runs come from.
        candidate: where the candidate's run comes from.
        reference_trace: one of the reference's runs, for its batches.
        candidate_trace: the candidate's run.
        planned: how many iterations a run is to have that may still go on: then what it has so far must agree, before
            its first iteration where it comes from alone. Without it the run must have ended.
        same: names of settings that may differ, each with what is beneath it.
    """
    settings = _settings(reference, candidate, same)
    weights = _digests("initial weights", reference.weights, candidate.weights)
    if planned is not None and not len(candidate_trace):
        return _ordered([*_asked(reference, candidate), weights, *settings], _shown(reference, candidate))
    batches = _batches(reference_trace, candidate_trace)
    data_root = _row("data root", reference.data_root or _ABSENT, candidate.data_root or _ABSENT)
    rows = [
        *_asked(reference, candidate),
        replace(data_root, required=not batches.agrees),  # equal data may lie elsewhere; other data are explained by it
        batches,
        weights,
        _iterations(reference_trace, candidate_trace, planned),
        _draws(reference_trace, candidate_trace),
        *_recorded(reference_trace, candidate_trace),
        *settings,
        *_restarts(reference_trace, candidate_trace),  # behind the setting that explains them
    ]
    return _ordered(rows, _shown(reference, candidate))


def accepted_differences(agreements: Sequence[Agreement], same: Sequence[str]) -> list[Agreement]:
    """The settings that differ and were accepted.

    Args:
        agreements: the comparability table.
        same: as ``compare_provenance`` takes it.
    """
    return [row for row in agreements if not row.agrees and _is_accepted(row.what, same)]


def _is_accepted(name: str, same: Sequence[str]) -> bool:
    return any(name == accepted or name.startswith(f"{accepted}.") for accepted in same)


def _asked(reference: Provenance, candidate: Provenance) -> list[Agreement]:
    """What is asked of a run, and explains other batches and weights."""
    return [
        _row("case", reference.case, candidate.case),
        _row("precision", reference.precision, candidate.precision),
        _row("seed", reference.seed, candidate.seed),
        _row("world size", reference.world_size, candidate.world_size),
        _row("global batch", reference.global_batch, candidate.global_batch),
        *_sampling(reference, candidate),
    ]


def _sampling(reference: Provenance, candidate: Provenance) -> Iterator[Agreement]:
    """The norms of other elements of the same tensors are other numbers, by far more than rounding."""
    if reference.sampling or candidate.sampling:
        yield _row("sample", reference.sampling or EVERY_NTH, candidate.sampling or EVERY_NTH)


def _shown(reference: Provenance, candidate: Provenance) -> list[Agreement]:
    """What may differ."""
    return [
        _row("device", reference.device.label, candidate.device.label, required=False),
        _row("device name", reference.device.name, candidate.device.name, required=False),
        *_mapping("", reference.versions, candidate.versions),
        *_mapping("", reference.host, candidate.host),
        *_mapping("$", reference.environment, candidate.environment),
        _row("start weights", reference.start or _ABSENT, candidate.start or _ABSENT, required=False),
        _row("commit", reference.commit or _ABSENT, candidate.commit or _ABSENT, required=False),
    ]


def _ordered(rows: Sequence[Agreement], shown: Sequence[Agreement]) -> tuple[Agreement, ...]:
    """What must agree and doesn't, what does, what may differ; each in the order that it has."""
    return (*sorted(rows, key=lambda row: (not row.required, row.agrees)), *shown)


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


def _settings(reference: Provenance, candidate: Provenance, same: Sequence[str]) -> list[Agreement]:
    """One row for all settings that agree, and one for each that doesn't: those of data, of the optimizer, others.

    A setting that one side leaves out has there what is built without it.
    """
    names = sorted({*reference.settings, *candidate.settings}, key=lambda name: (_place(name), name))
    rows = [_row(name, _value(name, reference, candidate), _value(name, candidate, reference)) for name in names]
    differing = [replace(row, required=not _is_accepted(row.what, same)) for row in rows if not row.agrees]
    if any(row.required for row in differing):
        return differing
    count = f"{len(names) - len(differing)} settings"
    return [Agreement("settings", count, f"{count}, all equal", True, True), *differing]


def _place(name: str) -> int:
    field = name.partition(".")[0]
    return 0 if field in _OF_DATA else 1 if field in _OF_OPTIMIZER else 2


def _value(name: str, side: Provenance, other: Provenance) -> str:
    """What a side has a setting at; of a side that recorded no defaults the other's are taken."""
    return side.settings.get(name, (side.defaults or other.defaults).get(name, _ABSENT))


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


def _restarts(reference: Trace, candidate: Trace) -> Iterator[Agreement]:
    """Where a run is started anew on its way: nothing to say of runs that aren't."""
    if PIECE not in reference.signals and PIECE not in candidate.signals:
        return
    ours, theirs = (trace.iterations[trace.piece_starts].tolist() for trace in (reference, candidate))
    due = [start for start in ours if start < candidate.reached]
    said = [f"at {_listed(list(map(str, starts[1:])))}" if starts[1:] else "none" for starts in (ours, theirs)]
    yield Agreement("restarts", said[0], said[1], True, due == theirs)


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
    if not any(name.startswith(OF_RANKS) for name in ours["tensors"]):  # an older one didn't keep the ranks' gradients
        theirs["tensors"] = {name: None for name in theirs["tensors"] if not name.startswith(OF_RANKS)}
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
