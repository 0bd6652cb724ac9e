"""What restarts buy: cases whose start and learning rate nobody tuned, run in 1, 3 and 5 pieces.

    python benchmarks/restarts.py [CASE …] [--pieces 1 3 5] [--repeats 6] [--work-dir DIR]
    python benchmarks/restarts.py --table [--work-dir DIR]      # of today's rules, for all runs that are there

Each case is taken with `alignment.start.last_norm=1` and a learning rate of 0.01, as it comes, and with crops of 32×64:
rounding grows until the reference's own runs part. Of each case and number of pieces there are a baseline at fp32,
recorded on the CPU, healthy ports (the emulated device with the noise of unseen seeds), and faults of the catalogue,
each from the start and from the middle of the run on. Nothing but the number of pieces differs, and there are no shadow
ops.

Each run leaves its files in the work folder; what is there isn't run again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.lab.power.finished_run import FinishedRun, find_record
from harness.lab.power.study_run import Experiment, Kind
from harness.lab.power.study_worker import Request
from harness.lab.power.workers import run_requests
from harness.rules.bounded import percent
from harness.rules.budget import FALSE_ALARM_RATE
from harness.rules.gate import Gate
from harness.rules.sight import DEMANDED
from harness.rules.tier import TierRules
from harness.running.cases import find_case
from harness.values.baseline import Baseline
from harness.values.verdict import Status, Verdict

CASES = ("pspnet_small", "fcn_small", "deeplabv3plus_small", "ocrnet_small")
ITERATIONS = 30
FAULTS = ("conv-dgrad-x1.02", "conv-wgrad-x1.01", "relu-leaks-1pct")
BEGINS = (0, ITERATIONS // 2)
CROP = (32, 64)
HEALTHY = (6001,)
"""Seeds of the healthy ports' noise: none of a baseline's, nor of a study's."""

_SMALL = 1e-3
"""A deviation of the loss that is told at how many iterations it is seen."""

_COLUMNS = (
    *("case", "pieces", "0.1 % of the loss seen at"),
    *(f"{name} off from iteration {BEGINS[-1]} on" for name in ("loss", "grad_norm")),
    *(f"{name} blind at" for name in DEMANDED),
    *("faults from the start", f"faults from iteration {BEGINS[-1]} on", "false alarms"),
)

_TIMEOUT_SECONDS = 3600.0

_CONFIG = """_base_ = [{base!r}]
optim_wrapper = dict(optimizer=dict(lr=0.01))
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomCrop", crop_size=({height}, {width}), cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
alignment = dict(
    iterations={iterations},
    restarts={pieces},
    start=dict(last_norm=1.0),
    tier="fp32",
    tiers=("fp32",),
    fp64_iterations=0,
)
"""


def main() -> None:
    """Run what isn't there yet, and show what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--pieces", nargs="+", type=int, default=[1, 3, 5])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work-dir", type=Path, default=Path("restarts"))
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    folder = arguments.work_dir.resolve()
    wanted = [(case, pieces) for case in arguments.cases for pieces in arguments.pieces]
    if not arguments.table:
        planned = [_requests(case, pieces, arguments.repeats, folder) for case, pieces in wanted]
        # What a case sees is told first, then each candidate in all numbers of pieces, so that a part is worth showing.
        requests = [one for of_case in planned for one in of_case if one.experiment.kind is Kind.REPEAT]
        candidates = zip(*([one for one in of_case if one not in requests] for of_case in planned), strict=True)
        requests += [one for alike in candidates for one in alike]
        missing = [one for one in requests if find_record(Path(one.folder)) is None]
        run_requests(missing, 1, folder / "logs", _TIMEOUT_SECONDS, _told)
    print(f"| {' | '.join(_COLUMNS)} |")
    print("|" + "---|" * len(_COLUMNS))
    for case, pieces in wanted:
        print(_row(case, pieces, arguments.repeats, folder), flush=True)


def _told(asked: Request) -> None:
    record = find_record(Path(asked.folder))
    print(f"{asked.folder}: {record.seconds:.0f} s {record.error}" if record else asked.folder, file=sys.stderr)


def _config(case: str, pieces: int, folder: Path) -> Path:
    """The untuned case as a config of its own; each number of pieces under the same name, in a folder of its own."""
    config = folder / f"{case}-{pieces}" / f"{case}_untuned.py"
    config.parent.mkdir(parents=True, exist_ok=True)
    base = str(find_case(case).config)
    text = _CONFIG.format(base=base, iterations=ITERATIONS, pieces=pieces, height=CROP[0], width=CROP[1])
    config.write_text(text, encoding="utf-8")
    return config


def _requests(case: str, pieces: int, repeats: int, folder: Path) -> list[Request]:
    """The repeats of the reference, the healthy ports and the faulty ones."""
    config = _config(case, pieces, folder)

    def request(kind: Kind, name: str, device: str, faults: tuple[str, ...], seed: int) -> Request:
        # A faulty run is asked for as a port is: of a study's faults the gradients are measured beside a twin's.
        experiment = Experiment(
            case=config.stem,
            config=str(config),
            kind=kind,
            name=name,
            device=device,
            profile="fp32" if device == "emulated" else "",
            faults=faults,
            noise_tier="fp32" if seed else "",
            noise_seed=seed,
            iterations=ITERATIONS,
        )
        return Request(experiment, str(config.parent / name), "", "", "fp32", FALSE_ALARM_RATE)

    return [
        *(request(Kind.REPEAT, f"repeat-{number}", "cpu", (), number) for number in range(repeats)),
        *(request(Kind.HEALTHY, f"healthy-{seed}", "emulated", (), seed) for seed in HEALTHY),
        *(
            request(Kind.HEALTHY, f"{fault}@{begins}", "emulated", (f"{fault}@{begins}",), 0)
            for begins in reversed(BEGINS)
            for fault in FAULTS
        ),
    ]


def _row(case: str, pieces: int, repeats: int, folder: Path) -> str:
    """What one number of pieces sees of a case; of what hasn't been run yet, how much has."""
    found = {Path(one.folder).name: find_record(Path(one.folder)) for one in _requests(case, pieces, repeats, folder)}
    runs = {name: run for name, run in found.items() if run is not None}
    reference = [runs[f"repeat-{number}"] for number in range(repeats) if f"repeat-{number}" in runs]
    traces = tuple(run.trace for run in reference if run.trace is not None)
    provenance = reference[0].provenance if reference else None
    if provenance is None or len(traces) < repeats:
        return f"| {case} | {pieces} | {len(traces)} of {repeats} repeats are there" + " |" * (len(_COLUMNS) - 2)
    baseline = Baseline(provenance.case, "cpu", {"fp32": traces}, provenance, None, "benchmark", provenance.started)
    rules = TierRules("fp32", traces, ITERATIONS, FALSE_ALARM_RATE)
    bounds = rules.signal_bounds[0]
    seen = dict(zip(bounds.signals, bounds.below, strict=True))
    sights = {sight.signal: sight.blind for sight in rules.sights}
    gate = Gate(baseline, ITERATIONS, "fp32")
    judged = {name: _judged(gate, run) for name, run in runs.items() if not name.startswith("repeat")}
    cells = [
        case,
        str(pieces),
        f"{int((seen['loss'] <= _SMALL).sum())} of {ITERATIONS}",
        *(percent(float(seen[name][BEGINS[-1] :].min())) for name in ("loss", "grad_norm")),
        *(f"{sights[name]}" for name in DEMANDED),
        *(_seen({fault: judged.get(f"{fault}@{begins}") for fault in FAULTS}) for begins in BEGINS),
        _alarms([status for name, status in judged.items() if name.startswith("healthy") and status is not None]),
    ]
    return "| " + " | ".join(cells) + " |"


def _seen(judged: dict[str, Status | None]) -> str:
    run = {fault: status for fault, status in judged.items() if status is not None}
    missed = [fault for fault, status in run.items() if status is not Status.FAIL]
    return f"{len(run) - len(missed)} of {len(run)}" + (f" (not {', '.join(missed)})" if missed else "")


def _alarms(judged: list[Status]) -> str:
    """Of the healthy ports; one that can't be decided is no alarm, and is told."""
    failed, open_ = (sum(one is status for one in judged) for status in (Status.FAIL, Status.INCONCLUSIVE))
    return f"{failed} of {len(judged)}" + (f", {open_} INCONCLUSIVE" if open_ else "")


def _judged(gate: Gate, run: FinishedRun) -> Status | None:
    """The verdict on a candidate; none on a run that crashed, which isn't counted."""
    if run.error or run.trace is None or run.provenance is None:
        print(f"{run.folder}: {run.error}", file=sys.stderr)
        return None
    verdict: Verdict = gate.judge(run.trace, run.provenance)
    print(f"{run.folder.parent.name} {run.folder.name}: {verdict.status.value} {verdict.reason[:220]}", file=sys.stderr)
    return verdict.status


if __name__ == "__main__":
    main()
