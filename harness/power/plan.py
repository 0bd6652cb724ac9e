"""What a study runs: twins, runs that show what rounding does, further repeats, faults, healthy ports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.emulation.faults import FAULTS, Fault, parse_fault
from harness.power.experiment import Experiment, Kind
from harness.power.ports import CALIBRATION_SEEDS, list_ports, rounding_seeds
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
    """

    faults: tuple[str, ...]
    healthy: int
    iterations: int = 0
    profile: str = ""
    repeats: int = 16
    stops: bool = True
    settle: int = 2
    shadow: tuple[int, ...] = ()


def choose_faults(words: str) -> tuple[str, ...]:
    """Faults by name, as ``--faults`` spells them: ``all``, ``none``, or names with commas between.

    Raises:
        UsageError: no fault has such a name.
    """
    if words.strip() == "all":
        return tuple(FAULTS)
    if words.strip() == "none":
        return ()
    names = [word.strip() for word in words.split(",") if word.strip()]
    if not names:
        raise UsageError("no fault is named", where="--faults", observed=repr(words), allowed="all, none, or names")
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


def plan_case(case: Case, settings: Settings) -> tuple[list[Experiment], list[Experiment]]:
    """The experiments of a case: those that others lean on, which are run first, and those others.

    Args:
        case: of the baseline's own iterations or fewer.
        settings: what is asked for.
    """
    iterations = settings.iterations or case.iterations
    profile = settings.profile or case.tier

    def make(kind: Kind, name: str, **changes: object) -> Experiment:
        fields = {"profile": profile, "iterations": iterations, **changes}
        return Experiment(case=case.name, config=str(case.config), kind=kind, name=name, **fields)  # type: ignore[arg-type]

    faults = [text for text in settings.faults if not needs(parse_fault(text))]
    first: list[Experiment] = []
    if faults:
        first.append(make(Kind.TWIN, f"plain-{profile}"))
    more = range(case.repeats, settings.repeats)
    if more and more[-1] >= CALIBRATION_SEEDS:
        raise UsageError("too many repeats", where="--repeats", observed=settings.repeats, allowed=CALIBRATION_SEEDS)
    first += [
        make(Kind.REPEAT, f"{case.tier}-{seed}", device="cpu", profile="", noise_tier=case.tier, noise_seed=seed)
        for seed in more
    ]
    second: list[Experiment] = []
    if faults:
        second += [
            make(Kind.ROUNDING, f"{profile}-{seed}", noise_tier="fp32", noise_seed=seed)
            for seed in rounding_seeds(ROUNDING_RUNS)
        ]
    shadow = tuple(iteration for iteration in settings.shadow if iteration < iterations)
    watched = {"shadow": shadow, "shadow_tier": case.tier if shadow else ""}
    second += [
        make(Kind.FAULT, text, faults=(text,), stops=settings.stops, settle=settings.settle, **watched)
        for text in faults
    ]
    second += [
        make(
            Kind.HEALTHY,
            f"{port.name}-{seed}",
            profile=port.profile,
            noise_tier=port.noise_tier,
            noise_seed=seed,
            threads=port.threads,
            onednn=port.onednn,
            channels_last=port.channels_last,
            **watched,
        )
        for port, seed in list_ports(settings.healthy)
    ]
    return first, _interleaved(second)


def _interleaved(experiments: Iterable[Experiment]) -> list[Experiment]:
    """Those that use two threads last, so that they don't share the cores with many others for long."""
    return sorted(experiments, key=lambda experiment: experiment.threads > 1)
