"""Operations and modules, with arguments drawn, taken from PyTorch's own tests, or senseless.

Where the CPU answers, the device answers the same or says why not; the interpreter never dies where the CPU's survives.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent

pytestmark = pytest.mark.slow

FINE = {"same", "answered", "typed error", "refused by its signature"}
DTYPES = ("float32", "float64", "bfloat16", "complex64", "int64", "bool")
NOTHING_TO_SAY = {"no answer on the CPU", "no one answer on the CPU", "no answer on the host"}


def outcomes(script: str, *arguments: str, cwd: Path) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """What came of each call, and the calls at which the process died."""
    records, deaths, first = [], [], 0
    while True:
        done = subprocess.run(
            [sys.executable, str(HERE / script), str(first), *arguments],
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
            cwd=cwd,  # an operation may take a drawn name for a file's
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
        records += [record for record in said if "outcome" in record]
        if done.returncode == 0:
            return records, deaths
        assert done.returncode < 0, done.stderr
        begun = [record for record in said if "outcome" not in record]
        deaths.append(begun[-1])
        first = next(record["index"] for record in reversed(begun) if "index" in record) + 1


def counted(records: list[dict[str, object]]) -> Counter[str]:
    """How often each outcome came; none may be one that isn't fine."""
    wrong = [record for record in records if record["outcome"] not in FINE | NOTHING_TO_SAY]
    assert wrong == []
    return Counter(str(record["outcome"]) for record in records)


@pytest.mark.parametrize("seed", ["a", "b"])
def test_the_device_answers_as_the_cpu_does(seed: str, tmp_path: Path) -> None:
    records, deaths = outcomes("fuzz_operations.py", "2", seed, cwd=tmp_path)
    assert [death for death in deaths if death["on"] == "sdaa"] == []
    assert counted(records)["same"] > 1000


def test_the_device_answers_pytorch_s_own_samples_as_the_cpu_does(tmp_path: Path) -> None:
    """In one process: to load PyTorch's table of samples takes as long as to run those of a type."""
    records, deaths = outcomes("fuzz_samples.py", *DTYPES, cwd=tmp_path)
    assert [death for death in deaths if death["on"] == "sdaa"] == []
    for dtype in DTYPES:
        assert counted([record for record in records if record["dtype"] == dtype])["same"] > 1000, dtype


def test_every_name_of_the_modules_answers_or_says_why_not(tmp_path: Path) -> None:
    records, deaths = outcomes("fuzz_surface.py", cwd=tmp_path)
    assert deaths == []
    counts = counted(records)
    assert counts["answered"] > 300
    assert counts["typed error"] > 300
