"""Other kernels as candidates: the small cases against their baselines, by every kernel that this machine has.

    python benchmarks/foreign_kernels.py [KERNEL …] [--cases ann_small …] [--work-dir runs] [--minutes 60]
    python benchmarks/foreign_kernels.py --list
    python benchmarks/foreign_kernels.py --table

One CPU computes in many ways: which instructions ATen and oneDNN may use, oneDNN or ATen's own kernels, MKL's
reproducible modes, threads, memory format, a compiler. None of them is wrong, so that a FAIL at the tier which a case
demands is a false alarm. XLA and a fault put into it are there where torch_xla is. Each run leaves a line in
``results.jsonl`` of the work folder, what is there is not run again, and ``--table`` renders all of it as Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from foreign_devices import install

from harness.devices.surroundings import git_commit
from harness.running.cases import small_cases
from harness.running.isolation import isolated_python

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Kernels:
    """One way to compute.

    Args:
        name: for the table.
        device: what ``--device`` takes.
        environment: variables that are set.
        words: further words of ``align verify``.
        healthy: whether a PASS is due; else a FAIL.
    """

    name: str
    device: str = "cpu"
    environment: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ("--shadow", "none")
    healthy: bool = True


def _of_cpu() -> Iterator[Kernels]:
    avx2, plain = ("ATEN_CPU_CAPABILITY", "avx2"), ("ATEN_CPU_CAPABILITY", "default")
    yield Kernels("as recorded")
    yield Kernels("ATen AVX2", environment=(avx2,))
    yield Kernels("ATen without vectors", environment=(plain,))
    for isa in ("SSE41", "AVX", "AVX2", "AVX512_CORE"):
        yield Kernels(f"oneDNN {isa}", environment=(("ONEDNN_MAX_CPU_ISA", isa),))
    yield Kernels("ATen without vectors, oneDNN SSE41", environment=(plain, ("ONEDNN_MAX_CPU_ISA", "SSE41")))
    yield Kernels("ATen AVX2, oneDNN AVX2", environment=(avx2, ("ONEDNN_MAX_CPU_ISA", "AVX2")))
    for mode in ("COMPATIBLE", "AVX2", "AVX512"):
        yield Kernels(f"MKL {mode}", environment=(("MKL_CBWR", mode),))
    for threads in ("2", "3", "4"):
        yield Kernels(f"{threads} threads", environment=(("OMP_NUM_THREADS", threads),))
    yield Kernels("oneDNN off", "cpu-plain")
    yield Kernels("oneDNN off, ATen AVX2", "cpu-plain", (avx2,))
    yield Kernels("oneDNN off, ATen without vectors", "cpu-plain", (plain,))
    yield Kernels("oneDNN off, 2 threads", "cpu-plain", (("OMP_NUM_THREADS", "2"),))
    yield Kernels("channels last", "cpu-channels-last")
    yield Kernels("channels last, oneDNN off", "cpu-plain-channels-last")
    for backend in ("aot_eager", "inductor"):
        yield Kernels(f"torch.compile {backend}", words=("--shadow", "none", "--compile", backend))


def _of_xla() -> Iterator[Kernels]:
    few = ("--iterations", "2", "--shadow", "0", "--stall-timeout", "3600")
    host = (("PJRT_DEVICE", "CPU"),)
    yield Kernels("XLA", "xla-eager", host, few, healthy=False)
    yield Kernels("XLA, batch norm mended", "xla-mended", host, few)
    yield Kernels("XLA, batch norm mended, align_corners wrong", "xla-wrong", host, few, healthy=False)
    yield Kernels(
        "XLA, batch norm mended, in bfloat16", "xla-mended", (*host, ("XLA_USE_BF16", "1")), few, healthy=False
    )


def all_kernels() -> dict[str, Kernels]:
    """Name → kernels, of those that this machine can run."""
    found = _of_xla() if util.find_spec("torch_xla") else _of_cpu()
    return {kernels.name: kernels for kernels in found}


def main() -> None:
    """Run what isn't there yet, or render what is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernels", nargs="*", help="by name; all without")
    parser.add_argument("--cases", nargs="+", default=[case.name for case in small_cases()])
    parser.add_argument("--work-dir", type=Path, default=Path("foreign-kernels"))
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no run after so long")
    parser.add_argument("--no-baseline", action="store_true", help="judge by shadow ops alone")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(all_kernels()))
        return
    if not arguments.table:
        run_all(arguments)
    print(table(read(arguments.work_dir)))


def run_all(arguments: argparse.Namespace) -> None:
    """Each kernel with each case, case after case of one kernel."""
    began = time.monotonic()
    site = install(arguments.work_dir.resolve() / "site")
    done = {(row["kernels"], row["case"]) for row in read(arguments.work_dir)}
    for name in arguments.kernels or all_kernels():
        for case in arguments.cases:
            if (name, case) in done or time.monotonic() - began > 60 * arguments.minutes:
                continue
            row = run(all_kernels()[name], case, arguments.work_dir, site, alone=arguments.no_baseline)
            with (arguments.work_dir / "results.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{name}, {case}: {row['verdict']} {row['aligned_tier']} {row['reason'][:160]}", file=sys.stderr)


def run(kernels: Kernels, case: str, folder: Path, site: Path, *, alone: bool) -> dict[str, Any]:
    """One run, as a row of ``results.jsonl``."""
    out = folder / "reports" / kernels.name.replace(" ", "-").replace(",", "")
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path, **dict(kernels.environment)}
    words = ["verify", case, "--device", kernels.device, *kernels.words, "--out", str(out), "--no-early-stop"]
    words += ["--no-baseline"] if alone else []
    command = isolated_python("harness.cli:main", *words)
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    file = out / case / "result.json"
    said = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return {
        "kernels": kernels.name,
        "case": case,
        "healthy": kernels.healthy,
        "verdict": said.get("verdict", "ERROR"),
        "aligned_tier": said.get("aligned_tier", ""),
        "reason": said.get("reason") or (done.stderr or done.stdout)[-300:],
        "coverage": ((said.get("shadow_ops") or {}).get("coverage") or {}).get("rate"),
        "torch": metadata.version("torch"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "commit": git_commit(ROOT, but_for="baselines"),
        "seconds": round(said.get("seconds", 0.0), 1),
        "alone": alone,
    }


def read(folder: Path) -> list[dict[str, Any]]:
    """The rows that are there."""
    file = folder / "results.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a row for each way to compute and how often it passed, and the counts of all."""
    lines = ["| kernels | torch | runs | PASS | aligned at fp32 | not PASS |", "|---|---|---|---|---|---|"]
    for name, torch in dict.fromkeys((row["kernels"], row["torch"]) for row in rows):
        group = [row for row in rows if (row["kernels"], row["torch"]) == (name, torch)]
        passed = [row for row in group if row["verdict"] == "PASS"]
        tight = sum(row["aligned_tier"] == "fp32" for row in passed)
        others = "; ".join(f"{r['case']} {r['verdict']}" for r in group if r["verdict"] != "PASS")
        lines.append(f"| {name} | {torch} | {len(group)} | {len(passed)} | {tight} | {others or '—'} |")
    healthy = [row for row in rows if row["healthy"]]
    alarms = sum(row["verdict"] == "FAIL" for row in healthy)
    coarse = sum(row["aligned_tier"] != "fp32" for row in healthy)
    wrong = [row for row in rows if not row["healthy"]]
    found = sum(row["verdict"] == "FAIL" for row in wrong)
    lines += [
        "",
        f"{len(healthy)} runs of healthy kernels: {alarms} FAIL at the tier that the case demands, "
        f"{coarse} not aligned at fp32. {len(wrong)} runs of wrong ones: {found} FAIL.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
