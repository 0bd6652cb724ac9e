"""What two logs cost: the size of an install without extras, and the time that `align compare` takes in it.

    python benchmarks/light_install.py

It makes a new environment in a temporary folder, with the versions of constraints.txt, and needs a package index. Times
are of the processor, not of the clock, the median of ten starts; on a busy machine they come out larger.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMES = 10
COMMANDS = (
    ("compare", "reference.log", "candidate.log"),
    ("compare", "reference.log", "candidate.log", "--out", "report"),
    ("--help",),
    ("verfy",),
)
HEAVY = ("torch", "mmengine", "cv2")


def main() -> int:
    """Install, measure, print."""
    with tempfile.TemporaryDirectory(prefix="light-install-") as name:
        folder = Path(name)
        wheels = folder / "wheels"
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv/bin/python"
        site = Path(_told(python, "import sysconfig; print(sysconfig.get_path('purelib'))"))
        before = _size(site)
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        _run(*pip, "wheel", "-c", ROOT / "constraints.txt", "-w", wheels, ROOT)
        _run(*pip, "install", "--no-index", "--find-links", wheels, *wheels.glob("*.whl"))
        print(f"download: {_size(wheels) / 1e6:.0f} MB in {len(list(wheels.iterdir()))} packages")
        print(f"on disk:  {(_size(site) - before) / 1e6:.0f} MB, {_largest(site)}")
        found = [name for name in HEAVY if (site / name).exists()]
        print(f"not in it: {', '.join(name for name in HEAVY if name not in found)}")
        for side, shift in (("reference", 0.0), ("candidate", 1e-4)):
            lines = (f"Iteration: {i} train.loss : {4 / (1 + 0.01 * i) + shift * (i % 3):.6f}" for i in range(100))
            (folder / f"{side}.log").write_text("\n".join(lines), encoding="utf-8")
        for words in COMMANDS:
            seconds = [_processor_time(folder, folder / "venv/bin/align", *words) for _ in range(TIMES)]
            print(f"align {' '.join(words)}: {statistics.median(seconds):.2f} s (least {min(seconds):.2f})")
    return 1 if found else 0


def _run(*words: object) -> None:
    subprocess.run(list(map(str, words)), check=True)  # noqa: S603  # our own words


def _told(python: Path, program: str) -> str:
    return subprocess.run([python, "-c", program], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603  # our own words


def _processor_time(folder: Path, *words: object) -> float:
    """Seconds of user and system time that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(list(map(str, words)), cwd=folder, capture_output=True, check=False)  # noqa: S603  # our own words
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _largest(site: Path) -> str:
    sizes = sorted(((_size(path), path.name) for path in site.iterdir() if path.is_dir()), reverse=True)
    return ", ".join(f"{name} {size / 1e6:.0f}" for size, name in sizes[:5])


if __name__ == "__main__":
    sys.exit(main())
