"""Healthy ports of unseen seeds, judged at fp32 and at tf32: other float32 kernels with healthy noise over them.

    python benchmarks/healthy_ports.py [CASE …] [--seeds 5000-5003] [--kernels NAME …] [--work-dir DIR] [--minutes 60]
    python benchmarks/healthy_ports.py --table [--work-dir DIR]     # of today's rules, for all runs that are there

A run is a case in float32 by one of the ways that a CPU can compute in (``foreign_kernels.py``) with the noise of a
seed over it: each convolution and product scaled by s and 1/s, so that every rounding is another. All of it is right.
Each run is judged twice, with fp32 demanded and with tf32, by the committed baselines. Their seeds are 0 to 7, those of
a study of the gate below 5000; no seed here serves two runs of a case.

Each run leaves a line in ``results.jsonl`` of the work folder and its trace beside it; what is there isn't run again,
and ``--table`` judges it by today's rules. Order: all cases by one kernel, then the next, then the next seed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from harness.devices.surroundings import git_commit
from harness.lab.power.finished_run import find_record
from harness.lab.power.study_run import Experiment, Kind
from harness.lab.power.study_worker import Request
from harness.lab.power.workers import run_requests
from harness.rules.budget import FALSE_ALARM_RATE
from harness.rules.gate import Gate
from harness.running.cases import find_case, small_cases
from harness.store.baselines import load_baseline
from harness.values.verdict import Status, Verdict

ROOT = Path(__file__).parents[1]
BASELINES = ROOT / "baselines"
TIERS = ("fp32", "tf32")
_TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True)
class Kernels:
    """One way to compute in float32.

    Args:
        name: for the table.
        environment: variables that are set before PyTorch is imported.
        device: ``cpu``, or ``emulated`` with numerics of fp32.
        threads: of the host's kernels.
        onednn: whether convolutions may take oneDNN's kernels.
        channels_last: whether weights lie with channels last.
    """

    name: str
    environment: tuple[tuple[str, str], ...] = ()
    device: str = "cpu"
    threads: int = 1
    onednn: bool = True
    channels_last: bool = False


_PLAIN = ("ATEN_CPU_CAPABILITY", "default")
_AVX2 = ("ATEN_CPU_CAPABILITY", "avx2")

KERNELS = (
    Kernels("as recorded"),
    Kernels("oneDNN off", onednn=False),
    Kernels("channels last", channels_last=True),
    Kernels("oneDNN SSE41", (("ONEDNN_MAX_CPU_ISA", "SSE41"),)),
    Kernels("ATen without vectors", (_PLAIN,)),
    Kernels("2 threads", threads=2),
    Kernels("emulated fp32", device="emulated"),
    Kernels("oneDNN AVX2", (("ONEDNN_MAX_CPU_ISA", "AVX2"),)),
    Kernels("ATen AVX2, oneDNN off", (_AVX2,), onednn=False),
    Kernels("MKL COMPATIBLE", (("MKL_CBWR", "COMPATIBLE"),)),
    Kernels("oneDNN AVX", (("ONEDNN_MAX_CPU_ISA", "AVX"),)),
    Kernels("channels last, oneDNN off, ATen without vectors", (_PLAIN,), onednn=False, channels_last=True),
    Kernels("4 threads, oneDNN off", threads=4, onednn=False),
)
"""In the order in which they are taken."""


def main() -> None:
    """Run what isn't there yet, or render what is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="none: all small ones")
    parser.add_argument("--kernels", nargs="+", choices=[one.name for one in KERNELS], metavar="NAME", default=[])
    parser.add_argument("--seeds", default="5000-5003", metavar="FROM-TO", help="both included, 5000 or more")
    parser.add_argument("--work-dir", type=Path, default=Path("healthy-ports"))
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no run after so long")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    if seeds.start < 5000:
        parser.error("seeds below 5000 are the baselines' and the studies'")
    cases = arguments.cases or [case.name for case in small_cases()]
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    if not arguments.table:
        kernels = [one for one in KERNELS if not arguments.kernels or one.name in arguments.kernels]
        run_all(cases, kernels, seeds, arguments.work_dir.resolve(), 60 * arguments.minutes)
    gates = Gates()
    print(table([rejudged(row, arguments.work_dir, gates) for row in read(arguments.work_dir)]))


def run_all(cases: list[str], kernels: list[Kernels], seeds: range, folder: Path, seconds: float) -> None:
    """Each seed, each way to compute, each case; runs of one way share a process."""
    began = time.monotonic()
    gates = Gates()
    done = {(row["kernels"], row["case"], row["seed"]) for row in read(folder)}
    for seed in seeds:
        for one in kernels:
            if time.monotonic() - began > seconds:
                return
            missing = [case for case in cases if (one.name, case, seed) not in done]
            for row in run(one, missing, seed, folder, gates):
                with (folder / "results.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                said = ", ".join(f"{tier} {row[tier]}" for tier in TIERS)
                print(f"{one.name}, {row['case']}, seed {seed}: {said} ({row['seconds']} s)", file=sys.stderr)


class Gates:
    """The gates of each case, made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Gate] = {}

    def __call__(self, case: str, tier: str) -> Gate:
        """The gate of a case's committed baseline with a tier demanded."""
        if (case, tier) not in self._made:
            found = find_case(case)
            baseline = load_baseline(BASELINES, case, found.reference)
            self._made[case, tier] = Gate(baseline, found.iterations, tier)
        return self._made[case, tier]


def run(kernels: Kernels, cases: list[str], seed: int, folder: Path, gates: Gates) -> Iterator[dict[str, Any]]:
    """A row of ``results.jsonl`` for each case."""
    noise = seed * len(KERNELS) + KERNELS.index(kernels)
    tasks = [_request(kernels, case, noise, folder / folder_of(kernels.name, case, seed)) for case in cases]
    kept = dict(os.environ)
    os.environ.update(dict(kernels.environment))
    try:
        run_requests(tasks, 1, folder / "logs", _TIMEOUT_SECONDS, lambda _: None)
    finally:
        os.environ.clear()
        os.environ.update(kept)
    for case, task in zip(cases, tasks, strict=True):
        yield {
            "kernels": kernels.name,
            "case": case,
            "seed": seed,
            "torch": metadata.version("torch"),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "commit": git_commit(ROOT, but_for="baselines"),
            **judged(Path(task.folder), case, gates),
        }


def folder_of(kernels: str, case: str, seed: int) -> str:
    """Where a run lies in the work folder."""
    return f"{case}-{seed}-{kernels.replace(',', '').replace(' ', '-')}"


def rejudged(row: dict[str, Any], folder: Path, gates: Gates) -> dict[str, Any]:
    """A row by today's rules; as it was where the run's trace isn't there any more."""
    run_folder = folder / folder_of(row["kernels"], row["case"], row["seed"])
    return {**row, **judged(run_folder, row["case"], gates)} if run_folder.exists() else row


def _request(kernels: Kernels, case: str, noise: int, folder: Path) -> Request:
    found = find_case(case)
    experiment = Experiment(
        case=case,
        config=str(found.config),
        kind=Kind.HEALTHY,
        name=f"{kernels.name}-{noise}",
        device=kernels.device,
        profile="fp32" if kernels.device == "emulated" else "",
        noise_tier="fp32",
        noise_seed=noise,
        threads=kernels.threads,
        onednn=kernels.onednn,
        channels_last=kernels.channels_last,
        iterations=found.iterations,
    )
    return Request(experiment, str(folder), "", str(BASELINES), TIERS[-1], FALSE_ALARM_RATE)


def judged(folder: Path, case: str, gates: Gates) -> dict[str, Any]:
    """What is said of a run, by each tier that can be demanded."""
    record = find_record(folder)
    row: dict[str, Any] = {"seconds": round(record.seconds, 1) if record else 0.0}
    trace, provenance = (record.trace, record.provenance) if record else (None, None)
    for tier in TIERS:
        if trace is None or provenance is None:
            row |= {tier: Status.ERROR.value, f"{tier} reason": record.error[:300] if record else "no run"}
            continue
        verdict = gates(case, tier).judge(trace, provenance)
        row |= {tier: verdict.status.value, f"{tier} reason": _reason(verdict)}
    return row


def _reason(verdict: Verdict) -> str:
    return "" if verdict.status is Status.PASS else verdict.reason


def read(folder: Path) -> list[dict[str, Any]]:
    """The rows that are there."""
    file = folder / "results.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: what isn't PASS, for each way to compute and tier demanded; the counts of all and what bounds them."""
    lines = ["| kernels | runs | not PASS at fp32 | not PASS at tf32 |", "|---|---|---|---|"]
    for name in dict.fromkeys(row["kernels"] for row in rows):
        group = [row for row in rows if row["kernels"] == name]
        lines.append(f"| {name} | {len(group)} | " + " | ".join(_others(group, tier) for tier in TIERS) + " |")
    lines.append("")
    for tier in TIERS:
        alarms = sum(row[tier] != Status.PASS.value for row in rows)
        high = binomtest(alarms, len(rows)).proportion_ci(0.95, "exact").high if rows else 1.0
        lines.append(f"{tier}: {alarms} of {len(rows)} not PASS (rate at most {high:.1%}, Clopper–Pearson, 95 %)")
    return "\n".join(lines)


def _others(group: list[dict[str, Any]], tier: str) -> str:
    return "; ".join(f"{r['case']} {r['seed']} {r[tier]}" for r in group if r[tier] != Status.PASS.value) or "0"


if __name__ == "__main__":
    main()
