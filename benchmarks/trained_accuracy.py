"""What one can see by trained accuracy: how far healthy trainings scatter, and which faults show beside that.

    python benchmarks/trained_accuracy.py WORK_DIR [CASE …] [--runs 10] [--faulty-runs 10] [--faults NAME …]
    python benchmarks/trained_accuracy.py WORK_DIR --table          # of the runs that are there

Each run is `align train` of a small case with a seed of its own (start weights, data order, crops), validated after its
last iteration on the generated street scenes: reference runs on the CPU, candidates on the emulated device at tf32, and
as many candidates with each fault. No seed serves two runs. Each run leaves its mIoU in ``scores.jsonl`` of the work
folder, and what is there isn't run again. Then `align accuracy`'s verdict is asked, without a margin and with one:

- of all runs of both sides;
- of k runs a side, drawn from them: of healthy candidates the share that is a FAIL is its rate of false alarms, of
  faulty ones its power;
- of the healthy runs of both sides, shuffled: the rate if the device made no difference at all.

Draws share runs, so that their shares are no independent trials; what is independent is the verdict on all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from harness.accuracy.acceptance_margins import Margin
from harness.accuracy.trained_runs import compare_runs, decide
from harness.devices.surroundings import git_commit
from harness.values.verdict import Status

REFERENCE, HEALTHY = "reference", "healthy candidate"

FAULTS = ("momentum-zero", "bn-momentum-ignored", "align-corners-flipped-backward")
"""An optimizer's, one that only evaluation shows, and a wrong gradient: chosen before any of them was trained."""

DRAWS = 2000


def main() -> int:
    """Train what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("cases", nargs="*", default=["ann_small"])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--faulty-runs", type=int, default=10, help="of each fault")
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--faults", nargs="*", default=list(FAULTS))
    parser.add_argument("--margin", type=float, default=1.0, help="points")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    scores = arguments.work_dir / "scores.jsonl"
    if not arguments.table:
        for case in arguments.cases:
            _train_all(case, scores, arguments)
    found = _read(scores)
    for case in sorted({key[0] for key in found}):
        _print({side: runs for (name, side), runs in found.items() if name == case}, case, arguments)
    return 0


def _train_all(case: str, scores: Path, arguments: argparse.Namespace) -> None:
    """Every side's first run, then every side's second: what is there at any time is of all sides alike."""
    sides = [(REFERENCE, ["--device", "cpu"]), (HEALTHY, ["--device", "emulated", "--profile", "tf32"])]
    sides += [(name, ["--device", "emulated", "--profile", "tf32", "--fault", name]) for name in arguments.faults]
    there = {(entry["case"], entry["side"], entry["seed"]) for entry in _entries(scores)}
    for run in range(arguments.runs):
        for number, (side, device) in enumerate(sides):
            seed = 1000 * (number + 1) + run
            if (case, side, seed) in there or (number > 1 and run >= arguments.faulty_runs):
                continue
            miou = _train(case, seed, device, arguments)
            entry = {
                "case": case,
                "side": side,
                "seed": seed,
                "mIoU": miou,
                "commit": git_commit(Path(__file__).parent),
            }
            with scores.open("a") as file:
                file.write(json.dumps(entry) + "\n")
            print(f"{case}  {side:30}  seed {seed}  mIoU {miou:.2f}", flush=True)


def _train(case: str, seed: int, device: list[str], arguments: argparse.Namespace) -> float:
    """The mIoU in points after the last iteration."""
    folder = arguments.work_dir / "runs" / case / str(seed)
    words = ["train", "--config", case, *device, "--iterations", str(arguments.iterations)]
    words += ["--val-interval", str(arguments.iterations), "--work-dir", str(folder)]
    words += ["--cfg-options", f"randomness.seed={seed}", f"optim_wrapper.optimizer.lr={arguments.lr}"]
    program = "import sys; from harness.cli import main; sys.exit(main())"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    (file,) = folder.rglob("validations.jsonl")
    last = json.loads(file.read_text().splitlines()[-1])
    return float(last["mean_iou"])


def _entries(scores: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in scores.read_text().splitlines()] if scores.exists() else []


def _read(scores: Path) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for entry in _entries(scores):
        found[str(entry["case"]), str(entry["side"])].append(float(str(entry["mIoU"])))
    return found


def _print(sides: dict[str, list[float]], case: str, arguments: argparse.Namespace) -> None:
    """Markdown: one row a side."""
    reference = sides[REFERENCE]
    margin = Margin(f"{arguments.margin:g}", points=arguments.margin)
    rng = np.random.default_rng(20261129)
    print(f"\n{case}, {arguments.iterations} iterations, lr {arguments.lr:g}; mIoU in points of {len(reference)} runs:")
    print(f"reference {np.mean(reference):.2f}, a run scatters by {np.std(reference, ddof=1):.2f}")
    sizes = [k for k in (3, 5) if k < len(reference)]
    columns = [f"FAIL of {k} a side" for k in sizes]
    heads = ["candidate", "runs", "mIoU", "scatters", "difference, 95 %", "verdict", f"±{arguments.margin:g}", *columns]
    print("\n| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    for name, runs in sides.items():
        if name == REFERENCE:
            continue
        seen = compare_runs(reference, runs, 0.95)
        shares = [_called(rng, reference, runs, k) for k in sizes]
        cells = [name, str(len(runs)), f"{np.mean(runs):.2f}", f"{np.std(runs, ddof=1):.2f}"]
        cells += [f"{seen.difference:+.2f} ({seen.low:+.2f} … {seen.high:+.2f})"]
        cells += [decide(seen, None)[0].value, decide(compare_runs(reference, runs, 0.9), margin)[0].value]
        print("| " + " | ".join([*cells, *(f"{100 * share:.1f} %" for share in shares)]) + " |")
    if HEALTHY in sides:
        healthy = np.array(reference + sides[HEALTHY])
        half = len(healthy) // 2
        called = 0
        for _ in range(DRAWS):
            shuffled = rng.permutation(healthy)
            called += _fails(shuffled[:half].tolist(), shuffled[half:].tolist())
        print(
            f"\n{len(healthy)} healthy runs shuffled into two sides, {DRAWS} times: {100 * called / DRAWS:.1f} % FAIL"
        )
    print(f"\ncommit {git_commit(Path(__file__).parent)[:12]}, {platform.machine()}, {os.cpu_count()} cores")


def _called(rng: np.random.Generator, reference: list[float], candidate: list[float], k: int) -> float:
    """The share of draws of k runs a side that are a FAIL without a margin, at α 0.05."""
    called = 0
    for _ in range(DRAWS):
        one, other = rng.choice(reference, k, replace=False), rng.choice(candidate, k, replace=False)
        called += _fails(one.tolist(), other.tolist())
    return called / DRAWS


def _fails(reference: list[float], candidate: list[float]) -> bool:
    return decide(compare_runs(reference, candidate, 0.95), None)[0] is Status.FAIL


if __name__ == "__main__":
    sys.exit(main())
