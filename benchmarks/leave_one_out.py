"""False alarms that a baseline shows of itself: each healthy run judged by the others of its tier.

    python benchmarks/leave_one_out.py [CASE …] [--reference cpu]

Prints, for each case and tier, how many of the runs the others would fail, and by which signal. Nothing is run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.rules.budget import FALSE_ALARM_RATE
from harness.rules.ranking import violations_first
from harness.rules.tier import TierRules
from harness.running.cases import small_cases
from harness.store.baselines import load_baseline
from harness.values.trace import Trace
from harness.values.verdict import Finding, Outcome

BASELINES = Path(__file__).parents[1] / "baselines"


def main() -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="none: all small ones")
    parser.add_argument("--reference", default="cpu")
    arguments = parser.parse_args()
    for name in arguments.cases or [case.name for case in small_cases()]:
        baseline = load_baseline(BASELINES, name, arguments.reference)
        for tier, runs in baseline.tiers.items():
            failed = {number: found for number in range(len(runs)) if (found := violations(tier, runs, number))}
            print(f"{name} {tier}: {len(failed)} of {len(runs)} runs failed by the others")
            for number, findings in failed.items():
                print(f"  run {number}: {findings[0].message}")


def violations(tier: str, runs: tuple[Trace, ...], number: int) -> list[Finding]:
    """What the other runs find wrong with one, at the gate's own false-alarm rate."""
    others = [run for at, run in enumerate(runs) if at != number]
    judged = TierRules(tier, others, len(runs[number]), FALSE_ALARM_RATE).judge(runs[number])
    findings = violations_first(judged.findings)
    return [finding for finding in findings if finding.status in {Outcome.FAIL, Outcome.INCONCLUSIVE}]


if __name__ == "__main__":
    main()
