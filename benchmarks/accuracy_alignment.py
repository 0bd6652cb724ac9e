"""How often accuracy alignment is wrong, and what it sees: counts for docs/accuracy.md.

``statistics`` simulates: trained runs with a known spread against a margin, the paired interval over clusters, the test
of moved classes, the verdict on the same weights. ``devices`` holds the emulated device to a reference with the same
weights: healthy profiles, and faults of the catalogue that strike in evaluation; each is a pass of ``align evaluate``
in a process of its own, and what is done isn't done again.

    python benchmarks/accuracy_alignment.py statistics
    python benchmarks/accuracy_alignment.py devices CONFIG CHECKPOINT WORK_DIR --limit 8
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from harness.accuracy.acceptance_margins import Margin
from harness.accuracy.moved_classes import moved_classes
from harness.accuracy.same_weights import judge_same_weights
from harness.accuracy.trained_runs import compare_runs, decide
from harness.evaluating.evaluation_pass import read_evaluation
from harness.evaluating.reference_folder import compare_sides, healthy_folders, movement_of, read_reference
from harness.rules.budget import FALSE_ALARM_RATE
from harness.values.verdict import Status

TRIALS = 4000

HEALTHY = ("exact", "fp32", "tf32")
"""Profiles of the emulated device that are right where tf32 is demanded."""

COARSER = ("fp16", "sdaa", "bf16")
"""Profiles that keep fewer mantissa bits of a result than tf32 does, or have less range."""

FAULTS = (
    *("align-corners-flipped", "bilinear-half-pixel-lost", "bilinear-is-nearest", "upsample-in-half"),
    *("fallback-stale-copy", "index-overflow", "argmax-takes-last"),
    *("bn-eps-1e-3", "bn-eps-1e-4", "bn-input-half"),
    *("adaptive-pool-bins-floored", "adaptive-pool-of-one-stride", "max-pool-pads-with-zero"),
    *("relu-leaks-1pct", "relu-cut-at-6"),
    *("conv-bias-dropped", "conv-bias-by-sample", "conv-pads-with-edge", "conv-strided-pads-at-end"),
    *("conv-output-bf16", "conv-operands-truncated", "conv-partial-sums-half"),
    *("softmax-in-half", "softmax-wrong-axis", "attention-scale-lost", "attention-scale-x1.1"),
    *("bmm-last-term-lost", "bmm-last-row-zero", "bmm-in-bf16"),
    *(
        "tail-channel-unwritten",
        "tail-column-unwritten",
        "race-1e-2",
        "race-1e-4",
        "bit-flip-high",
        "bit-flip-mantissa",
    ),
)
"""Faults of kernels that a forward pass in evaluation mode runs."""


def main() -> int:
    """Run what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("statistics")
    devices = commands.add_parser("devices")
    devices.add_argument("config")
    devices.add_argument("checkpoint", type=Path)
    devices.add_argument("work_dir", type=Path)
    devices.add_argument("--limit", type=int, default=8)
    devices.add_argument("--repeats", type=int, default=8)
    devices.add_argument("--tier", default="tf32")
    arguments = parser.parse_args()
    if arguments.command == "statistics":
        _trained_runs()
        _movement()
    else:
        _devices(arguments)
    return 0


def _trained_runs() -> None:
    """A true difference of 0, the margin and twice the margin: what the verdict says, of TRIALS simulated pairs."""
    rng = np.random.default_rng(20261129)
    spread, margin = 0.64, Margin("1", points=1.0)
    print(f"trained runs: spread {spread} points, margin 1 point, α 0.05, {TRIALS} simulated pairs of sides a row")
    print("runs a side   true difference   PASS   FAIL   INCONCLUSIVE")
    for runs in (2, 3, 5, 10, 20):
        for difference in (0.0, 1.0, 2.0):
            told: Counter[str] = Counter()
            for _ in range(TRIALS):
                reference = rng.normal(77.0, spread, runs).tolist()
                candidate = rng.normal(77.0 - difference, spread, runs).tolist()
                told[decide(compare_runs(reference, candidate, 0.9), margin)[0].value] += 1
            shares = "   ".join(f"{100 * told[name] / TRIALS:>4.1f} %" for name in ("PASS", "FAIL", "INCONCLUSIVE"))
            print(f"{runs:>11}   {difference:>15.1f}   {shares}")


def _movement() -> None:
    """Net movements with no direction, and with one: how often the classes' test calls at 5 %."""
    rng = np.random.default_rng(20261129)
    print(f"\nmoved classes: K = 19, {TRIALS} simulated sets a row, called at 5 % by Bhapkar's test and by Holm's")
    print("clusters   shift of one class, in σ of a cluster   Bhapkar   Holm")
    for clusters in (25, 50, 100):
        for shift in (0.0, 0.5, 1.0):
            called = named = 0
            for _ in range(TRIALS):
                net = rng.normal(0, 1, (clusters, 19)) * np.geomspace(0.1, 10, 19)
                net -= net.mean(axis=1, keepdims=True)
                net[:, 18] += shift * 10
                net[:, 17] -= shift * 10
                found = moved_classes(net)
                called += found.chance is not None and found.chance < 0.05
                named += any(one.chance < 0.05 for one in found.classes)
            print(f"{clusters:>8}   {shift:>37.1f}   {100 * called / TRIALS:>5.1f} %   {100 * named / TRIALS:>4.1f} %")


def _devices(arguments: argparse.Namespace) -> None:
    common = ["evaluate", arguments.config, str(arguments.checkpoint), "--limit", str(arguments.limit)]
    tier = ["--tier", arguments.tier]
    reference = arguments.work_dir / "reference"
    repeats = ["--repeats", str(arguments.repeats)]
    _align([*common, "--device", "cpu", "--as-reference", *repeats, *tier, "--work-dir", str(reference)])
    against = ["--against", str(reference), *tier, "--independent-images"]
    rows = [("healthy", name, ["--profile", name]) for name in HEALTHY]
    rows += [("coarser", name, ["--profile", name]) for name in COARSER]
    rows += [("fault", name, ["--profile", arguments.tier, "--fault", name]) for name in FAULTS]
    print(f"tier {arguments.tier}, {arguments.limit} images, {arguments.repeats} repeats of the reference")
    _false_alarms(reference, arguments.tier)
    print(f"{'':8} {'':28} verdict        otherwise   ΔmIoU in points   by")
    for kind, name, words in rows:
        folder, out = arguments.work_dir / kind / name, arguments.work_dir / "reports" / kind / name
        done = _align([*common, "--device", "emulated", *words, "--work-dir", str(folder), *against, "--out", str(out)])
        if done.returncode == 2:
            print(f"{kind:8} {name:28} ERROR          {(done.stderr.strip().splitlines() or [''])[0][:70]}")
            continue
        (file,) = out.rglob("result.json")
        result = json.loads(file.read_text())
        said = {finding["signal"]: finding for finding in result["findings"]}
        share, moved = said["answers"]["observed"], said.get("mIoU", {}).get("observed")
        by = ", ".join(finding["signal"] for finding in result["findings"] if finding["status"] == "fail")
        verdict = result["status"] if "status" in result else result["verdict"]
        points = "–" if moved is None else f"{100 * moved:+.3f}"
        print(f"{kind:8} {name:28} {verdict:14} {100 * share:>8.3f} %   {points:>15}   {by or '–'}", flush=True)


def _false_alarms(folder: Path, tier: str) -> None:
    """Each healthy repeat of the reference, judged by the others."""
    reference = read_reference(folder)
    repeats = [read_evaluation(place) for place in healthy_folders(folder, tier)]
    sides = [compare_sides(reference, repeat, by_image=True) for repeat in repeats]
    called = []
    for number, (side, repeat) in enumerate(zip(sides, repeats, strict=True)):
        verdict = judge_same_weights(
            reference.identity.case,
            side,
            [other for other in sides if other is not side],
            movement_of(side, repeat, by_image=True),
            reference.identity.table.class_names,
            tier=tier,
            false_alarm_rate=FALSE_ALARM_RATE,
        )
        if verdict.status is not Status.PASS:
            called.append(f"{number + 1} ({verdict.status.value})")
    print(f"of {len(repeats)} healthy repeats, each judged by the others, called: {', '.join(called) or 'none'}")


def _align(words: list[str]) -> subprocess.CompletedProcess[str]:
    program = "import sys; from harness.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in {0, 1, 2, 3}:
        raise SystemExit(done.stdout + done.stderr)
    return done


if __name__ == "__main__":
    sys.exit(main())
