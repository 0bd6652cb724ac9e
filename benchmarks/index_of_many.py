"""How long the index of many cases takes: to be written, and to be there in Chromium.

    python benchmarks/index_of_many.py [--cases 500] [--rounds 5]

Makes results up (a fifth fails by three faults, some end in an error), writes their index, opens it in Chromium. Prints
wall-clock and processor time of writing; of opening the time until the page is parsed, its script has run and it is
laid out, and how much longer a screenshot of it takes than one of an empty page. Medians of the rounds.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from harness.store.atomic import write_text
from harness.values.invocation import Invocation
from harness.values.provenance import Device, Provenance
from harness.values.verdict import Envelope, Finding, Outcome, Status, Verdict
from reports.results.result_record import Record
from reports.run.index import Entry, render_index

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--window-size=1280,900"),
)
FAULTS = ("shadow", "first step", "envelope")


def main() -> int:
    """Make, write, open, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    entries = [Entry(record(number), f"case_{number}/report.html") for number in range(arguments.cases)]
    with tempfile.TemporaryDirectory() as place:
        page = Path(place) / "index.html"
        walls, processor = [], []
        for _ in range(arguments.rounds):
            began, used = time.perf_counter(), time.process_time()
            write_text(page, render_index(entries))
            walls.append(time.perf_counter() - began)
            processor.append(time.process_time() - used)
        print(f"{arguments.cases} cases, {page.stat().st_size / 2**20:.1f} MiB")
        print(f"written in {statistics.median(walls):.2f} s, {statistics.median(processor):.2f} s of the processor")
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        if browser is None:
            print("no Chromium is here: nothing was opened (apt install chromium)", file=sys.stderr)
            return 2
        empty = Path(place) / "empty.html"
        empty.write_text("<!DOCTYPE html><title>empty</title>", encoding="utf-8")
        laid_out = [laid_out_after(page, browser, Path(place)) for _ in range(arguments.rounds)]
        print(f"parsed, its script run and laid out after {statistics.median(laid_out):.2f} s")
        rounds = [(painted(page, browser, Path(place)), painted(empty, browser, Path(place))) for _ in laid_out]
        longer = statistics.median(full[0] - bare[0] for full, bare in rounds)
        busier = statistics.median(full[1] - bare[1] for full, bare in rounds)
        print(
            f"a screenshot takes {longer:.2f} s longer than an empty page's, and {busier:.2f} s more of the processor"
        )
    return 0


def record(number: int) -> Record:
    """A made-up result."""
    rng = np.random.default_rng(number)
    at = np.arange(30)
    center = 4 - 0.05 * at
    deviation = rng.normal(0, 1e-4, 30)
    loss = Envelope("loss", "tf32", at, center, np.full(30, 1e-3), center * (1 + deviation), deviation)
    status = Status.FAIL if number % 5 == 0 else Status.ERROR if number % 53 == 1 else Status.PASS
    rule = FAULTS[number // 5 % 3]
    found = [Finding("first step", Outcome.PASS, "loss", "it is kept", 0, 1e-5, 1e-3, 5e-4, "tf32")]
    if status is Status.FAIL:
        found.append(Finding(rule, Outcome.FAIL, "grad_norm", "grad_norm is 4.7 % above the reference", 0, 0.047, 1e-3))
    device = Device("sdaa", "T100", build={"driver": f"2.{number % 3}", "runtime": "1.4", "dnn": "1.8", "blas": "1.2"})
    reason = "aligned at tf32 over 30 iterations" if status is Status.PASS else f"{rule}: grad_norm is 4.7 % above"
    return Record(
        Verdict(f"model_{number:03d}", status, reason, tuple(found), (), None, "", "tf32", {"loss": loss}),
        candidate=Provenance(
            *(f"model_{number:03d}", {}, "ab" * 32, 0, "fp32", 1, 2, 30, device),
            commit="0123456789ab",
            started="2026-11-01T00:00:00+00:00",
        ),
        planned=30,
        done=30,
        seconds=60.0 + number,
        invocation=Invocation("a" * 32, "2026-11-01T00:00:00+00:00", "align verify", f"node-{number % 8}", "0.2.0"),
    )


def laid_out_after(page: Path, browser: str, place: Path) -> float:
    """Seconds from the page's begin until it is laid out; of a copy that may tell it."""
    told = "<script>document.body.offsetHeight; document.documentElement.dataset.ready = performance.now()</script>"
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    copy = place / "copy.html"
    copy.write_text(bare.replace("</body>", f"{told}</body>"), encoding="utf-8")
    command = [browser, *QUIET, f"--user-data-dir={place / 'profile'}", "--dump-dom", copy.as_uri()]
    seen = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout  # noqa: S603
    found = re.search(r'data-ready="([\d.]+)"', seen)
    if found is None:
        raise SystemExit("Chromium said no time")
    return float(found[1]) / 1000


def painted(page: Path, browser: str, place: Path) -> tuple[float, float]:
    """Seconds of a whole call of Chromium that ends with a screenshot, by the clock and of the processor."""
    command = [browser, *QUIET, f"--user-data-dir={place / 'profile'}", f"--screenshot={place / 'shot.png'}"]
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, page.as_uri()], capture_output=True, check=True, timeout=120)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
