"""Every operation of the CPU, with drawn arguments: where it answers, the device answers the same or says why not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

pytestmark = pytest.mark.slow

FINE = {"same", "typed error", "no answer on the CPU", "no one answer on the CPU"}


def outcomes(seed: str, draws: int, cwd: Path) -> tuple[list[dict[str, object]], list[tuple[str, str]]]:
    """What came of each draw, and the operations at which the process died, with the device that they ran on."""
    records, deaths, first = [], [], 0
    while True:
        done = subprocess.run(
            [sys.executable, str(HERE / "fuzz_operations.py"), str(first), str(draws), seed],
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
            cwd=cwd,  # an operation may take a drawn name for a file's
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
        records += [record for record in said if "outcome" in record]
        if done.returncode == 0:
            return records, deaths
        assert done.returncode < 0, done.stderr
        begun = [record for record in said if "on" in record]
        deaths.append((begun[-1]["op"], begun[-1]["on"]))
        first = next(record["index"] for record in reversed(begun) if "index" in record) + 1


@pytest.mark.parametrize("seed", ["a", "b"])
def test_the_device_answers_as_the_cpu_does(seed: str, tmp_path: Path) -> None:
    records, deaths = outcomes(seed, 2, tmp_path)
    assert [op for op, device in deaths if device == "sdaa"] == []
    counts: dict[str, int] = {}
    for record in records:
        counts[record["outcome"]] = counts.get(record["outcome"], 0) + 1
    wrong = {(r["op"], r["outcome"]) for r in records if r["outcome"] not in FINE}
    assert wrong == set()
    assert counts["same"] > 1000, counts
