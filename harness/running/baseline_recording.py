"""Recording: healthy runs of a case on a trusted device, checked, and kept as its baseline."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from harness.devices.choice import DeviceChoice
from harness.rules.comparability import compare_provenance
from harness.rules.envelope import judge_envelope
from harness.rules.finiteness import judge_finiteness
from harness.running.card_room import Peaks, find_room, peak_of
from harness.running.folder import ORDER
from harness.running.order import Order
from harness.running.pool import Slot, run_side_by_side
from harness.running.watchdog import Run, Timeouts, execute, read_run
from harness.store.baselines import list_references, load_baseline
from harness.store.stream import StreamRow
from harness.values.baseline import MINIMUM_REPEATS, Baseline, find_copies
from harness.values.case import Case
from harness.values.errors import BaselineError, UsageError
from harness.values.precision import TIERS
from harness.values.provenance import Provenance
from harness.values.sampling import EVERY_NTH, SAMPLING
from harness.values.trace import FloatArray, Trace
from harness.values.verdict import Outcome

__all__ = [
    "Change",
    "compare_baselines",
    "load_previous",
    "plan_runs",
    "record",
    "record_runs",
    "require_reason",
]


@dataclass(frozen=True)
class Change:
    """How a signal's center moved from one baseline to the next, signed, relative.

    Args:
        tier: of the ensemble.
        signal: name.
        mean: over the iterations that both have.
        largest: the one of the largest size.
        iteration: where it is.
    """

    tier: str
    signal: str
    mean: float
    largest: float
    iteration: int


def plan_runs(case: Case, order: Order, repeats: int, tiers: tuple[str, ...]) -> Iterator[tuple[str, int, Order]]:
    """The runs of a baseline: tier, number and order of each; the float64 run is the last.

    The first run of the tightest tier is the plain one; every other has its rounding varied. Both kinds are what a
    healthy device may do.
    """
    for tier in tiers:
        for number in range(repeats):
            plain = number == 0 and tier == "fp32"
            yield tier, number, dataclasses.replace(order, noise_tier="" if plain else tier, noise_seed=number)
    if short := min(case.fp64_iterations, order.iterations or case.iterations):
        yield "fp64", 0, dataclasses.replace(order, double=True, iterations=short)


def require_reason(baselines: Path, case: str, reference: str, reason: str, command: str = "") -> None:
    """A baseline that others judge by is not replaced without a word.

    Raises:
        UsageError: there is a baseline already, and no reason is given.
    """
    if reference in list_references(baselines, case) and not reason.strip():
        raise UsageError(
            f"there is a baseline {reference!r} of {case} already: say why it is recorded anew",
            where=baselines / case / reference,
            hint=f'{command or f"align record {case}"} --reason "why"',
        )


def record(
    case: Case,
    order: Order,
    *,
    reference: str,
    reason: str,
    repeats: int,
    tiers: tuple[str, ...],
    folder: Path,
    timeouts: Timeouts | None = None,
    on_iteration: Callable[[StreamRow], None] | None = None,
    remark: Callable[[str], None] = print,
    slots: Sequence[Slot] = (Slot(),),
    device: DeviceChoice | None = None,
    jobs: int = 1,
) -> Baseline:
    """Make the runs of a baseline. A model that can't run in float64 keeps its baseline, and a remark says so.

    Args:
        case: what to run.
        order: where to run it.
        reference: the trusted device's label.
        reason: why it is recorded.
        repeats: healthy runs a tier.
        tiers: precision tiers, tightest first.
        folder: where the runs leave their files.
        timeouts: how long each may take.
        on_iteration: called with each iteration that a run streams.
        remark: told in a sentence what the baseline lacks.
        slots: as many runs are made at once; each is the run that it would be alone.
        device: whose cards' memory says how many runs share one; not asked where None.
        jobs: how many runs at once were asked for.

    Returns:
        The baseline, not yet written.

    Raises:
        UsageError: too few repeats.
        BaselineError: a run is cut short, not finite, or not comparable with the first.
        RunError: a run crashed or hung.
    """
    if repeats < MINIMUM_REPEATS:
        raise UsageError("too few repeats", where="--repeats", observed=repeats, allowed=f"at least {MINIMUM_REPEATS}")
    case = dataclasses.replace(case, tiers=tiers, tier=case.tier if case.tier in tiers else tiers[-1])
    order = dataclasses.replace(order, trusted=True)
    kept: dict[str, list[Trace]] = {}
    first: tuple[Trace, Provenance] | None = None
    plan = list(plan_runs(case, order, repeats, tiers))
    made: dict[int, Run] = {}
    checked = 0
    peaks = Peaks(order.device)

    def run_of(planned: tuple[str, int, Order], slot: Slot) -> Run:
        tier, number, run_order = planned
        place = folder / f"{tier}-{number}"
        run = execute(run_order, place, timeouts=timeouts, on_iteration=on_iteration, slot=slot)
        peaks.learn(tier == "fp64", peak_of(run.trace))  # before its card is given to another
        return run

    def check(place: int, run: Run) -> None:
        """Runs are checked in the order of the plan, however they end: the first of all is what they are held to."""
        nonlocal first, checked
        made[place] = run
        while checked in made:
            tier, number, _ = plan[checked]
            run = made[checked]
            checked += 1
            if run.error is not None and tier == "fp64":
                remark(f"no run in float64: {run.error.what}; {(run.output.splitlines() or [''])[-1][:200]}")
                continue
            first = _checked(run, case.name, tier, number, first, kept)

    room = None
    if device is not None:
        room = find_room(device, jobs, order.processes, lambda planned: peaks.need(planned[0] == "fp64"))
    run_side_by_side(plan, run_of, slots, check, room.place if room is not None else None)
    if first is None:
        raise UsageError("no precision tier to record", where="--tiers")
    fp64 = kept.pop("fp64", [None])[0]
    for tier, runs in kept.items():
        _require_alike(case.name, tier, runs)
    return Baseline(
        case=case.name,
        reference=reference,
        tiers={tier: tuple(runs) for tier, runs in kept.items()},
        provenance=first[1],
        fp64=fp64,
        reason=reason or "first recording",
        recorded=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def record_runs(folders: Sequence[Path], *, name: str, reference: str, reason: str) -> Baseline:
    """Make a baseline of runs that a training watched in place has left: a reference's repeats.

    Args:
        folders: of the runs; each says the tier that it is of.
        name: of the case; the runs' own where empty.
        reference: the trusted device's label; its type where empty.
        reason: why it is recorded.

    Returns:
        The baseline, not yet written.

    Raises:
        RunError: a folder holds no run, or one that was cut short.
        BaselineError: a run isn't healthy, is emulated, not comparable with the first, or no repeat at all; or its
            norms are of other elements than this version samples.
    """
    kept: dict[str, list[Trace]] = {}
    first: tuple[Trace, Provenance] | None = None
    for folder in folders:
        run = read_run(folder)
        if run.error is not None:
            raise run.error
        if run.trace is None or run.provenance is None:
            raise BaselineError("a reference run left nothing", where=folder)
        order = Order.read(folder / ORDER)
        _require_repeat(run.provenance, order, folder, name)
        first = first or (run.trace, run.provenance)
        _require_healthy(run.trace, run.provenance, first, str(folder))
        kept.setdefault(order.noise_tier or "fp32", []).append(run.trace)
    if first is None:
        raise UsageError("there is no run to record", where="--from")
    for tier, runs in kept.items():
        if len(runs) >= MINIMUM_REPEATS:
            _require_alike(first[1].case, tier, runs)
    return Baseline(
        case=first[1].case,
        reference=reference or first[1].device.kind,
        tiers={tier: tuple(kept[tier]) for tier in sorted(kept, key=TIERS.index)},
        provenance=first[1],
        fp64=None,
        reason=reason or "first recording",
        recorded=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _require_repeat(provenance: Provenance, order: Order, folder: Path, name: str) -> None:
    """A run that was made as a reference's repeat, of the case, by a version that samples as this one does."""
    if provenance.device.emulated:
        raise BaselineError("an emulated device is no reference", where=folder, observed=provenance.device.label)
    if not order.trusted:
        raise BaselineError(
            "the run is no repeat of a reference: its rounding wasn't varied",
            where=folder,
            allowed="runs that were made with ALIGN_TIER and ALIGN_REPEAT in the environment",
            hint="for n in 0 1 2 3 4; do ALIGN_TIER=fp32 ALIGN_REPEAT=$n python SCRIPT; done",
        )
    if provenance.sampling != SAMPLING:
        raise BaselineError(
            "the run's norms of updates and parameters are of other elements than this version samples",
            where=folder,
            observed=provenance.sampling or EVERY_NTH,
            allowed=SAMPLING,
            hint="run the training again",
        )
    if name and provenance.case != name:
        raise BaselineError("the run is one of another case", where=folder, observed=provenance.case, allowed=name)


def compare_baselines(old: Baseline, new: Baseline) -> tuple[Change, ...]:
    """The signed change of loss and gradient norm, tier by tier, over the iterations that both have."""
    changes = []
    for tier in (tier for tier in new.tiers if tier in old.tiers):
        for signal in ("loss", "grad_norm"):
            before, after = (_center(side.tiers[tier], signal) for side in (old, new))
            common = min(len(before), len(after))
            relative = after[:common] / before[:common] - 1
            at = int(np.argmax(np.abs(relative)))
            changes.append(Change(tier, signal, float(relative.mean()), float(relative[at]), at))
    return tuple(changes)


def load_previous(baselines: Path, case: str, reference: str) -> Baseline | None:
    """The baseline that is about to be replaced; None where there is none, or none that can be read."""
    try:
        return load_baseline(baselines, case, reference)
    except BaselineError:
        return None


def _checked(
    run: Run,
    case: str,
    tier: str,
    number: int,
    first: tuple[Trace, Provenance] | None,
    kept: dict[str, list[Trace]],
) -> tuple[Trace, Provenance]:
    """Keep a run that is healthy, comparable with the first and no copy; the first of all."""
    if run.error is not None:
        run.error.hint = None  # the file that it names is gone when the message is read
        run.error.observed = f"{run.error.observed or ''}\n{run.output}"
        raise run.error
    if run.trace is None or run.provenance is None:
        raise BaselineError("a reference run left nothing", where=f"{case}, {tier}, run {number}")
    first = first or (run.trace, run.provenance)
    _require_healthy(run.trace, run.provenance, first, f"{case}, {tier}, run {number}")
    kept.setdefault(tier, []).append(run.trace)
    if copies := find_copies(kept[tier]):
        raise BaselineError(
            "two reference runs are copies of each other: they say nothing of how far healthy runs part",
            where=f"{case}, {tier}",
            observed=copies,
            allowed="runs whose rounding differs",
            hint="look for what makes runs come out equal: a cache of results, a rounding that isn't varied",
        )
    return first


def _require_alike(case: str, tier: str, runs: list[Trace]) -> None:
    """Each run stays where the others stay: one that doesn't would widen every bound, and hide faults.

    The rate is that of one false refusal in a thousand recordings of a tier.
    """
    for number, run in enumerate(runs):
        others = [other for other in runs if other is not run]
        findings, _ = judge_envelope(others, run, tier=tier, false_alarm_rate=1e-3 / len(runs))
        odd = [finding for finding in findings if finding.status is not Outcome.PASS]
        if odd:
            raise BaselineError(
                "a reference run is not like the others",
                where=f"{case}, {tier}, run {number}",
                observed=odd[0].message,
                hint="look for what disturbed the device, and record again",
            )


def _require_healthy(trace: Trace, provenance: Provenance, first: tuple[Trace, Provenance], where: str) -> None:
    broken = [finding for finding in judge_finiteness(trace) if finding.status is not Outcome.PASS]
    if broken:
        raise BaselineError("a reference run is not finite", where=where, observed=broken[0].message)
    if provenance.precision == "fp64":  # the same weights in a wider format: they have another digest
        provenance = dataclasses.replace(provenance, precision=first[1].precision, weights=first[1].weights)
    for row in compare_provenance(first[1], provenance, first[0], trace):
        if row.required and not row.agrees:
            raise BaselineError(
                "a reference run is not the same experiment as the first",
                where=where,
                observed=f"{row.what}: {row.candidate}",
                allowed=row.reference,
            )


def _center(runs: tuple[Trace, ...], signal: str) -> FloatArray:
    center: FloatArray = np.stack([run.signals[signal] for run in runs]).mean(axis=0)
    return center
