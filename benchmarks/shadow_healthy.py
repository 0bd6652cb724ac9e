"""Shadow ops on healthy ports: how far healthy kernels are from the error model, and how many runs have a finding.

    python benchmarks/shadow_healthy.py [CASE …] [--tiers fp32 tf32 fp16 bf16 sdaa] [--seeds 2000-2049] [--json FILE]

A run is one training step of the emulated device at a tier's own numerics: start weights, batch and dropout of its
seed. Prints, for each case and tier, the runs that have a finding, and, over all, each family's largest error norm and
projection over what the model expects of them: what ``harness/shadow/judging/operations.py`` takes its two margins
from (seeds 1000 and on; those of the evaluation are others).
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch
from scipy.stats import binomtest
from training_step import TrainingStep

from harness.devices.surroundings import git_commit, versions
from harness.lab.emulation import install
from harness.recording.dropout import HostDropout
from harness.running.cases import small_cases
from harness.shadow.by_program.dropping import OwnDropout
from harness.shadow.evidence.checks import Coverage, Part, ShadowCheck, ShadowRecord
from harness.shadow.judging.error_model import SHADOW_TIERS, family_of, smallest_normal
from harness.shadow.judging.operations import allow, judge_shadow, margin_of, weigh_shadow
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps
from harness.values.verdict import Finding, Outcome

_NOT_OF_THE_MODEL = frozenset({Part.RANDOM, Part.TRANSFER, Part.PRECISION})

WORST = dict[str, dict[str, tuple[float, float, str]]]
"""Family → measure → its largest ratio to the model, the margin, and the call that had it."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="none: all small ones")
    parser.add_argument("--tiers", nargs="+", choices=tuple(SHADOW_TIERS), default=list(SHADOW_TIERS))
    parser.add_argument("--seeds", default="2000-2004", help="from-to, both included")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    print(f"torch {versions()['torch']}, {torch.get_num_threads()} threads, commit {git_commit(Path(__file__).parent)}")
    worst: WORST = {}
    runs = found = 0
    for name in arguments.cases or [case.name for case in small_cases()]:
        shadowed = Shadowed(name)
        for tier in arguments.tiers:
            flagged = {}
            for seed in seeds:
                checks = shadowed.checks(seed, tier)
                widen(worst, checks, tier, f"{name} {tier} {seed}")
                if failed := failures(checks, tier):
                    flagged[seed] = failed
            runs, found = runs + len(seeds), found + len(flagged)
            print(f"{name} {tier}: {len(flagged)} of {len(seeds)} runs with a finding", flush=True)
            for seed, failed in flagged.items():
                print(f"  seed {seed}: {failed[0].message}")
    bound = binomtest(found, runs).proportion_ci(0.95, "exact").high
    print(f"all: {found} of {runs} runs with a finding (rate at most {bound:.1%}, Clopper-Pearson, 95 %)")
    for family, found_worst in sorted(worst.items(), key=lambda item: -item[1]["projection"][0]):
        for measure, (ratio, margin, call) in found_worst.items():
            print(f"  {family:36} {measure:10} {ratio:5.2f} of {margin:g}  {call}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"runs": runs, "found": found, "worst": worst}, indent=1) + "\n")


class Shadowed:
    """One training step of a case on the emulated device, of any seed and at any tier's numerics.

    Args:
        name: the case.
    """

    def __init__(self, name: str) -> None:
        install("exact")
        self._step = TrainingStep(name, "sdaa")
        self._where = CallSites(self._step.model)

    def checks(self, seed: int, tier: str) -> tuple[ShadowCheck, ...]:
        """What shadow ops say of the step."""
        install(tier)
        self._step.begin(seed)
        torch.manual_seed(seed)
        mode = ShadowOps(self._where, 0, tier)
        with HostDropout(), self._where.following(), OwnDropout(self._where, 0) as dropout, mode:
            self._step.take(*self._step.feed(), self._where.optimizing())
            dropped = dropout.ask(mode)
        return (*mode.checks, *dropped)


def failures(checks: tuple[ShadowCheck, ...], tier: str) -> list[Finding]:
    """The rule's findings that fail."""
    findings = judge_shadow(weigh_shadow(ShadowRecord((0,), checks, Coverage()), tier))
    return [finding for finding in findings if finding.status is Outcome.FAIL]


def widen(worst: WORST, checks: tuple[ShadowCheck, ...], tier: str, run: str) -> None:
    """Take each family's largest ratios in, in units of the error model."""
    for check in checks:
        allowed, margin = allow(check, tier), margin_of(check.op, check.dtype, tier)
        if check.part in _NOT_OF_THE_MODEL or not 0 < allowed.error < math.inf > check.error:
            continue
        family = family_of(check.op) + (" in half's range" if smallest_normal(check.op, check.dtype, tier) else "")
        known = worst.setdefault(family, {"error": (0.0, 0.0, ""), "projection": (0.0, 0.0, "")})
        call = f"{run}: {check.module} {check.op} {check.tensor}"
        error = margin.error * check.error / allowed.error
        projection = margin.projection * abs(check.projection) / allowed.projection
        known["error"] = max(known["error"], (error, margin.error, call))
        known["projection"] = max(known["projection"], (projection, margin.projection, call))


if __name__ == "__main__":
    main()
