"""How long a history takes to answer: 1,000 builds of 100 cases by default.

    python benchmarks/history_answers.py [--builds 1000] [--cases 100] [--history URL]

Makes the results (healthy ones with noise, a build that breaks 40 cases, one case that drifts, one flaky case), then
times what `align history` does, five times: reading, finding what broke, testing for drift, and drawing the page. It
also checks that the answers are the ones that were put in.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np

from harness.history.history_answer import answer
from harness.history.history_database import History
from harness.history.history_page import render_history
from harness.history.history_rows import BuildRow, Row

FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)


def rows(builds: int, cases: int, seed: int = 0) -> list[Row]:
    """Results of a made-up device: case 0 drifts, case 1 is flaky, 40 % break at the last tenth of the builds."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(builds):
        build = BuildRow(
            f"{number:032x}",
            "sdaa",
            "T100",
            {"build.driver": f"2.{number}", "version.torch": "2.4.1"},
            f"{number:012x}",
        )
        broken = number >= builds - builds // 10
        for case in range(cases):
            bad = (broken and case >= cases - int(0.4 * cases)) or (case == 1 and number % 17 == 3)
            measures = {
                f"nearness {rule} {signal}": abs(float(rng.normal(0.3, 0.05)))
                for rule, signal in (
                    ("envelope", "loss"),
                    ("envelope", "grad_norm"),
                    ("state", "*"),
                    ("first step", "*"),
                )
            }
            drop = 0.05 * max(0, number - builds + 30) if case == 0 else 0.0
            measures["effective bits convolution forward"] = 21 - drop + float(rng.normal(0, 0.05))
            measures["effective bits matmul"] = 21 + float(rng.normal(0, 0.05))
            made.append(
                Row(
                    key=f"{number}-{case}",
                    build=build,
                    invocation=f"{number:032x}",
                    case=f"case_{case:03d}",
                    device="sdaa",
                    started=(FIRST + timedelta(hours=8 * number)).isoformat(),
                    machine="ci",
                    status="FAIL" if bad else "PASS",
                    reason="shadow: weight gradient 5.0 % too large" if bad else "aligned at tf32 over 30 iterations",
                    causes=("shadow: convolution_backward weight gradient",) if bad else (),
                    aligned_tier="" if bad else "tf32",
                    seconds=60.0,
                    measures=measures,
                    sight={"iterations": 30.0, "shadow": 0.99, "detectable": 1e-4, "runs": 8.0},
                )
            )
    return made


def main() -> None:
    """Make the history, time the answers, say the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--builds", type=int, default=1000)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--history", default="", help="a database to make it in; a temporary SQLite file without it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        history = History(arguments.history or f"{folder}/history.db")
        started = time.perf_counter()
        history.add_all(rows(arguments.builds, arguments.cases))
        print(f"{arguments.builds} builds x {arguments.cases} cases made in {time.perf_counter() - started:.1f} s")
        times = []
        for _ in range(5):
            begun, cpu = time.perf_counter(), time.process_time()
            found = answer(history)
            asked = time.perf_counter()
            page = render_history(found, shown="benchmark", made="", last=60)
            ended = time.perf_counter()
            times.append((asked - begun, ended - asked, time.process_time() - cpu))
            print(f"answered in {times[-1][0]:.2f} s, page in {times[-1][1]:.2f} s, {times[-1][2]:.2f} s of CPU")
        middle = [statistics.median(column) for column in zip(*times, strict=True)]
        size = Path(folder, "history.db").stat().st_size / 2**20 if not arguments.history else 0
        print(f"median: answer {middle[0]:.2f} s, page {middle[1]:.2f} s, CPU {middle[2]:.2f} s; "
              f"page {len(page) / 2**10:.0f} KiB, database {size:.0f} MiB")  # fmt: skip
        print(f"breakages {len(found.breakages)}, flaky {[f.series.case for f in found.flaky]}, "
              f"drift {sorted({d.series.case for d in found.drifts})} of {found.tested} series")  # fmt: skip


if __name__ == "__main__":
    main()
