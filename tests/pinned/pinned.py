"""A fixed set of runs, judged and drawn: what must stay equal when code is moved.

Nothing is trained here: the runs were recorded once, and lie in ``tests/data/pinned`` with the baseline that they were
recorded for. The set was chosen before the first move. After a change that is meant to alter a page or a verdict, its
digests are written anew by

    python -m tests.pinned.pinned
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest import mock

import reports
from harness.lab.power.finished_run import find_record
from harness.lab.power.study import CaseStudy
from harness.lab.power.study_judging import judge_study
from harness.lab.power.study_plan import Settings
from harness.logs import compare
from harness.rules.gate import Gate
from harness.running import verification as verifying
from harness.running.cases import find_case
from harness.running.order import Order
from harness.running.watchdog import Run
from harness.store.baselines import load_baseline
from harness.store.provenance_file import read_provenance
from harness.store.stream import read_stream
from harness.values.baseline import Baseline
from harness.values.result import Result
from reports.study.study_report import write_power
from tests.unpacking import unpack

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "pinned"
DIGESTS = DATA / "digests.json"
BASELINES = ROOT / "baselines"
LOGS = {
    "drift": ("f14_drift.ref.log", "f14_drift.cand.log"),
    "llama2c": ("f05_llama2c.cuda.log", "f05_llama2c.mps.log"),
}
ARCHIVES = ("faulty.tar.xz", "study.tar.xz")


@functools.cache
def baseline() -> Baseline:
    """The one that the runs were recorded for, which sampled every n-th element: a harness of then is played here."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(DATA / "baselines.tar.xz", Path(folder))
        return load_baseline(Path(folder) / "baselines", "ann_small", "cpu")


def describe() -> dict[str, str]:
    """Name of each verdict, and of each file of each report → the verdict in words, or a digest of the file."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for archive in ARCHIVES:
            unpack(DATA / archive, folder)
        return {**_cases(folder), **_study(folder)}


def _cases(folder: Path) -> dict[str, str]:
    results = {
        "healthy": _healthy("tf32", 3, "tf32"),
        "too coarse": _healthy("tf32", 3, "fp32"),
        "faulty": _faulty(folder / "faulty"),
        **{name: _logs(*pair) for name, pair in LOGS.items()},
    }
    told = {}
    for name, result in results.items():
        out = folder / "out" / name
        fixed = replace(result, seconds=1.0, command=f"align {name}")
        reports.write([fixed], out)
        reports.merge([out], folder / "merged" / name)
        verdict = fixed.verdict
        told[name] = f"{verdict.status.value}, {len(verdict.findings)} findings: {verdict.reason}"
        told |= _digests(name, out)
        told |= _digests(f"{name}, read again", folder / "merged" / name)
    return told


def _healthy(tier: str, number: int, demanded: str) -> Result:
    """One of the baseline's own runs, judged at a tier by the others and itself."""
    run = Run(baseline().tiers[tier][number], baseline().provenance, None, "", 1.0)
    return _verified(run, Path("nowhere"), demanded)


def _faulty(folder: Path) -> Result:
    """A weight gradient of one layer 1 % too large, on the emulated device: shadow ops see it, the trace doesn't."""
    trace, provenance = read_stream(folder / "trace.jsonl"), read_provenance(folder / "provenance.json")
    return _verified(Run(trace, provenance, None, "", 1.0, stopped=True), folder, "", shadow=(0,))


def _verified(run: Run, folder: Path, tier: str, shadow: tuple[int, ...] = ()) -> Result:
    case = find_case("ann_small")
    order = Order(config=str(case.config), device="cpu", iterations=run.trace.planned, shadow=shadow)
    with (
        mock.patch.object(verifying, "execute", return_value=run),
        mock.patch.object(verifying, "load_baseline", return_value=baseline()),
        mock.patch.object(Baseline, "require_sampling"),
    ):
        return verifying.verify(case, order, baselines=BASELINES, folder=folder, tier=tier)


def _logs(reference: str, candidate: str) -> Result:
    return compare(DATA / reference, DATA / candidate, name=candidate)


def _study(folder: Path) -> dict[str, str]:
    """Three faults and two healthy ports of one case, two iterations each, one of them shadowed."""
    case = find_case("ann_small")
    records = [find_record(place) for place in sorted((folder / "study").iterdir())]
    gate = Gate(baseline(), 2, case.tier, 1e-3)
    study = CaseStudy(case, baseline(), gate, tuple(record for record in records if record is not None))
    faults = tuple(record.experiment.name for record in study.records if record.experiment.kind.value == "fault")
    settings = Settings(faults=faults, healthy=2, iterations=2, repeats=8, shadow=(1,))
    result = judge_study(
        [study], settings, false_alarm_rate=1e-3, missing={case.name: 0}, command="align power", commit="0" * 12
    )
    write_power(replace(result, made="2026-01-01T00:00:00+00:00"), folder / "out" / "study")
    seen = ", ".join(row.fault for row in result.faults if row.detection.seen_with_shadow)
    alarms = sum(row.detection.seen_with_shadow for row in result.healthy)
    told = f"{len(result.faults)} faults, seen: {seen}; {len(result.healthy)} healthy ports, {alarms} called"
    return {"study": told, **_digests("study", folder / "out" / "study")}


def _digests(name: str, folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        f"{name}: {path.relative_to(folder).as_posix()}": _digest(path.read_text(encoding="utf-8")) for path in files
    }


def _digest(text: str) -> str:
    """Of what a page says: floats to nine digits, as their last ones depend on the processor."""
    told = re.sub(r"-?\d+\.\d+(e[+-]?\d+)?", lambda found: f"{float(found[0]):.9g}", text)
    told = re.sub(r'"checksum": "\w+"', "", told)  # of all digits
    return hashlib.sha256(told.encode()).hexdigest()[:20]


if __name__ == "__main__":
    DIGESTS.write_text(json.dumps(describe(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"{DIGESTS}\n")
