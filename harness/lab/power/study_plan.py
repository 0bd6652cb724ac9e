"""What a study runs: twins, runs that show what rounding does, further repeats, faults, healthy ports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.lab.emulation.profiles import get_profile
from harness.lab.faults import FAULTS, Fault, parse_fault
from harness.lab.power.ports import CALIBRATION_SEEDS, list_ports, rounding_seeds
from harness.lab.power.study_run import Experiment, Kind
from harness.values.case import Case
from harness.values.errors import UsageError

__all__ = ["ROUNDING_RUNS", "Settings", "choose_faults", "needs", "plan_case"]

ROUNDING_RUNS = 4
"""Runs a case that show what rounding does to each gradient."""


@dataclass(frozen=True)
class Settings:
    """What a study is asked for.

    Args:
        faults: which, as the command line spells them.
        healthy: healthy ports a case.
        iterations: of each run; the case's own where 0.
        profile: numerics that faults are put on; the case's demanded tier where empty.
        repeats: the largest ensemble that is asked about.
        stops: whether a faulty run ends as soon as it is seen.
        settle: iterations that it then goes on.
        shadow: iterations of faulty and of healthy runs whose operations are held against float64; none where empty.
        forced: whether each operation of the first of them is run again with hard inputs.
        sample: faulty runs of all cases together, drawn at random; all of them where 0.
        sample_seed: of the draw.
    """

    faults: tuple[str, ...]
    healthy: int
    iterations: int = 0
    profile: str = ""
    repeats: int = 16
    stops: bool = True
    settle: int = 2
    shadow: tuple[int, ...] = ()
    forced: bool = False
    sample: int = 0
    sample_seed: int = 0


def choose_faults(words: str) -> tuple[str, ...]:
    """Faults as ``--faults`` spells them: ``all``, ``none``, ``blind``, ``known``, or names with commas between.

    Raises:
        UsageError: no fault has such a name.
    """
    sets = {
        "all": tuple(FAULTS),
        "none": (),
        "blind": tuple(name for name, fault in FAULTS.items() if fault.blind),
        "known": tuple(name for name, fault in FAULTS.items() if not fault.blind),
    }
    if words.strip() in sets:
        return sets[words.strip()]
    names = [word.strip() for word in words.split(",") if word.strip()]
    if not names:
        raise UsageError(
            "no fault is named", where="--faults", observed=repr(words), allowed="all, none, blind, known, or names"
        )
    for name in names:
        parse_fault(name)
    return tuple(dict.fromkeys(names))


def needs(fault: Fault) -> str:
    """What a fault needs that a study's runs haven't: ``two processes``, ``--amp``; empty where it can strike."""
    if fault.strikes == "distributed":
        return "two processes"
    if fault.strikes == "loss scaling":
        return "--amp"
    return ""


def plan_case(case: Case, settings: Settings, held: int) -> tuple[list[Experiment], list[Experiment]]:
    """The experiments of a case: those that others lean on, which are run first, and those others.

    Args:
        case: of the baseline's own iterations or fewer.
        settings: what is asked for.
        held: repeats that the case's baseline holds at the demanded tier: their seeds are 0 to held − 1.

    Raises:
        UsageError: more repeats are asked for than there are seeds for calibration.
        DeviceError: no profile has that name.
    """
    profile = get_profile(settings.profile or case.tier).name
    iterations = settings.iterations or case.iterations
    plain = Experiment(case.name, str(case.config), Kind.TWIN, f"plain-{profile}", "emulated", profile)
    plain = replace(plain, iterations=iterations)
    faults = [text for text in settings.faults if not needs(parse_fault(text))]
    compared = [plain, *_rounding(plain)] if faults else []
    judged = [*_faulty(plain, faults, settings), *_healthy(plain, settings.healthy)]
    judged += [*_shadowed(judged, case.tier, settings)]
    # Those of two threads come last, so that they don't share the cores with many others.
    judged.sort(key=lambda experiment: experiment.threads > 1)
    return [*compared[:1], *_repeats(plain, case.tier, range(held, settings.repeats))], [*compared[1:], *judged]


def _rounding(plain: Experiment) -> Iterator[Experiment]:
    for seed in rounding_seeds(ROUNDING_RUNS):
        name = f"{plain.profile}-{seed}"
        yield replace(plain, kind=Kind.ROUNDING, name=name, noise_tier="fp32", noise_seed=seed)


def _repeats(plain: Experiment, tier: str, seeds: range) -> Iterator[Experiment]:
    """As ``align record`` makes them."""
    if seeds and seeds[-1] >= CALIBRATION_SEEDS:
        raise UsageError("too many repeats", where="--repeats", observed=seeds[-1] + 1, allowed=CALIBRATION_SEEDS)
    reference = replace(plain, kind=Kind.REPEAT, device="cpu", profile="", noise_tier=tier)
    for seed in seeds:
        yield replace(reference, name=f"{tier}-{seed}", noise_seed=seed)


def _faulty(plain: Experiment, faults: Sequence[str], settings: Settings) -> Iterator[Experiment]:
    ending = replace(plain, kind=Kind.FAULT, stops=settings.stops, settle=settings.settle)
    for text in faults:
        yield replace(ending, name=text, faults=(text,))


def _healthy(plain: Experiment, count: int) -> Iterator[Experiment]:
    for port, seed in list_ports(count):
        yield replace(
            plain,
            kind=Kind.HEALTHY,
            name=f"{port.name}-{seed}",
            profile=port.profile,
            noise_tier=port.noise_tier,
            noise_seed=seed,
            threads=port.threads,
            onednn=port.onednn,
            channels_last=port.channels_last,
        )


def _shadowed(judged: Sequence[Experiment], tier: str, settings: Settings) -> Iterator[Experiment]:
    """Runs of their own: what shadow ops are today changes none of the others, which are most of a study's time."""
    for run in judged:
        if shadow := tuple(iteration for iteration in settings.shadow if iteration < run.iterations):
            watched = replace(run, kind=Kind.SHADOWED, shadow=shadow, shadow_tier=tier, forced=settings.forced)
            yield replace(watched, stops=bool(run.faults), settle=0)
