"""How often a round of healthy cards has one that is called, and what is seen of a card that is off.

    python benchmarks/card_alarms.py [--rounds 100] [--cards 4] [--rate 0.001]

A round is simulated: its cards are healthy runs of a committed baseline, drawn at random, each with rounding of its
own, in place of a card that was trained on. Training 400 runs anew would take a day; these were trained when the
baseline was recorded. Each baseline and tier gives as many rounds. Then one card of each round is made off in a signal,
by a factor that is the same in every iteration, to see which factor is named how often.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path

import numpy as np

from harness.devices.surroundings import git_commit
from harness.rules.card_spread import FALSE_ALARM_RATE, LOOKED_AT, judge_cards
from harness.store.baselines import list_references, load_baseline
from harness.values.trace import Trace

ROOT = Path(__file__).parents[1]
FACTORS = (1.0001, 1.001, 1.01, 1.05, 1.5)
SEED = 20261129


def main() -> None:
    """Draw the rounds, judge them, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--cards", type=int, default=4)
    parser.add_argument("--rate", type=float, default=FALSE_ALARM_RATE)
    arguments = parser.parse_args()
    rng = np.random.default_rng(SEED)
    print(f"commit {git_commit(ROOT, but_for='baselines')}, seed {SEED}, rate {arguments.rate:g}")
    alarms = rounds = 0
    seen = dict.fromkeys(FACTORS, 0)
    for name, tier, runs in healthy():
        ways = math.comb(len(runs), arguments.cards)
        called = 0
        for _ in range(arguments.rounds):
            drawn = [runs[at] for at in rng.choice(len(runs), arguments.cards, replace=False)]
            called += bool(judge_cards(name, as_cards(drawn), arguments.rate).odd)
            signal = LOOKED_AT[rng.integers(2)]
            for factor in FACTORS:
                odd = judge_cards(name, as_cards([*drawn[:-1], off(drawn[-1], signal, factor)]), arguments.rate).odd
                seen[factor] += any(row.card == str(arguments.cards - 1) for row in odd)
        print(f"{name} at {tier}: {called} of {arguments.rounds} healthy rounds called ({ways} different ones exist)")
        alarms, rounds = alarms + called, rounds + arguments.rounds
    print(f"all: {alarms} of {rounds} healthy rounds of {arguments.cards} cards called")
    for factor, count in seen.items():
        print(f"loss or gradient norm off by {100 * (factor - 1):g} %: named in {count} of {rounds}")


def healthy() -> list[tuple[str, str, tuple[Trace, ...]]]:
    """Case, tier and healthy runs of every committed baseline."""
    found = []
    for case in sorted(path.name for path in (ROOT / "baselines").iterdir() if path.is_dir()):
        for reference in list_references(ROOT / "baselines", case):
            baseline = load_baseline(ROOT / "baselines", case, reference)
            found += [(case, tier, runs) for tier, runs in baseline.tiers.items()]
    return found


def as_cards(runs: list[Trace]) -> dict[str, list[Trace]]:
    """Each run as that of a card."""
    return {str(number): [run] for number, run in enumerate(runs)}


def off(run: Trace, signal: str, factor: float) -> Trace:
    """The run with a signal that is off."""
    return dataclasses.replace(run, signals={**run.signals, signal: run.signals[signal] * factor})


if __name__ == "__main__":
    main()
