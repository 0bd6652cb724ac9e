"""The sdist and the wheel, installed and tried in clean systems: a minimal Debian or Ubuntu for each Python.

    python benchmarks/clean_roots.py FOLDER                                all four: 3.10 to 3.13
    python benchmarks/clean_roots.py FOLDER --roots bookworm --models bookworm

It needs Linux, root, `debootstrap`, and a package index. A root that lies in FOLDER already is used again; the virtual
environment in it is made anew. In each root, in an environment of its own: the wheel is installed without extras, two
logs are compared (an answer with exit code 1), and what needs torch says what to install. In the first one the sdist is
installed too. In those of --models the extra [models] is installed, and a short case verified on the emulated one.
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parents[1]

DEBIAN, UBUNTU = "http://deb.debian.org/debian", "http://archive.ubuntu.com/ubuntu"
ROOTS = {"jammy": UBUNTU, "bookworm": DEBIAN, "noble": UBUNTU, "trixie": DEBIAN}
"""Release → its archive: Python 3.10, 3.11, 3.12 and 3.13."""

_SCRIPTS = Path("/usr/share/debootstrap/scripts")

_SCRIPTS_OF_ALL = {DEBIAN: "sid", UBUNTU: "gutsy"}
"""Archive → the script that those of its newer releases are links to."""

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Tried:
    """What came of a root: a line of the table."""

    root: str
    python: str
    installed: str
    compared: str
    verified: str


def main() -> int:
    """Build, make the roots, install, try, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the roots lie: 300 MB each, with [models] 2 GB")
    parser.add_argument("--roots", nargs="+", choices=ROOTS, default=list(ROOTS))
    parser.add_argument("--models", nargs="+", choices=ROOTS, default=[], help="install [models] in these, and verify")
    parser.add_argument(
        "--find-links", type=Path, help="a folder of wheels that pip may take, such as torch's CPU build"
    )
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    built = arguments.folder / "dist"
    shutil.rmtree(built, ignore_errors=True)
    _run([sys.executable, "-m", "build", "--outdir", str(built), str(HERE)])
    commit = _told(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"])
    print(f"\n{datetime.date.today()}, commit {commit}\n")
    print("| root | Python | wheel installed, without extras | two logs | [models], `align verify` |")
    print("|---|---|---|---|---|", flush=True)
    tried: list[Tried] = []
    for name in arguments.roots:
        root, models = _root(arguments.folder, name, ROOTS[name]), name in arguments.models
        each = _try(root, built, with_sdist=not tried, models=models, links=arguments.find_links)
        print(f"| {each.root} | {each.python} | {each.installed} | {each.compared} | {each.verified} |", flush=True)
        tried.append(each)
    return 0 if all("wrong" not in f"{each.compared} {each.verified}" for each in tried) else 1


def _root(folder: Path, name: str, archive: str) -> Path:
    """A minimal system, made where there is none."""
    root = folder / name
    if not (root / "usr/bin/python3").exists():
        words = ["debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates"]
        if archive == UBUNTU:  # whose keys a Debian hasn't: what comes is not checked against them
            words += ["--no-check-gpg", "--components=main,universe"]
        script = [] if (_SCRIPTS / name).exists() else [_SCRIPTS_OF_ALL[archive]]  # debootstrap may be older than it
        _run([*words, name, str(root), archive, *script])
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    if _CERTIFICATES.is_file():  # a machine behind a proxy has one of its own
        shutil.copy(_CERTIFICATES, root / _CERTIFICATES.relative_to("/"))
    return root


def _try(root: Path, built: Path, *, with_sdist: bool, models: bool, links: Path | None) -> Tried:
    place = root / "try"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(built, place / "dist")
    shutil.copy(HERE / "constraints.txt", place)
    if links is not None:
        shutil.copytree(links, place / "links")
    wheel, sdist = next(built.glob("*.whl")).name, next(built.glob("*.tar.gz")).name
    inside = _Inside(root)
    inside.run("python3", "-m", "venv", "/try/venv")
    began = time.monotonic()
    inside.run("/try/venv/bin/pip", "install", "--quiet", f"/try/dist/{wheel}")
    installed = f"{time.monotonic() - began:.0f} s, {_megabytes(place / 'venv')} MB"
    if with_sdist:
        inside.run("python3", "-m", "venv", "/try/of-sdist")
        inside.run("/try/of-sdist/bin/pip", "install", "--quiet", f"/try/dist/{sdist}")
        inside.run("/try/of-sdist/bin/align", "--version")
        installed += "; the sdist too"
    _write_logs(place)
    compared = _answer(inside, 1, "FAIL", "compare", "cuda.log", "sdaa.log", "--out", "report")
    if not next(place.glob("report/*/report.html"), None):
        compared = "wrong: no page"
    asked = _answer(inside, 2, "pip install", "verify", "ann_small")
    verified = "not asked"
    if models:
        extra = ["--find-links", "/try/links"] if links is not None else []
        began = time.monotonic()
        inside.run(
            "/try/venv/bin/pip",
            "install",
            "--quiet",
            "-c",
            "/try/constraints.txt",
            *extra,
            f"/try/dist/{wheel}[models]",
        )
        verified = f"installed in {time.monotonic() - began:.0f} s, {_megabytes(place / 'venv')} MB; "
        verified += _answer(inside, 0, "PASS", "verify", "ann_small", "--shadow", "0", "--iterations", "4")
    python = inside.told("python3", "-c", "import platform; print(platform.python_version())")
    if "wrong" in asked:
        compared += f"; `align verify` without torch: {asked}"
    return Tried(root.name, python, installed, compared, verified)


def _answer(inside: _Inside, code: int, word: str, *words: str) -> str:
    """A command's verdict and time; ``wrong`` with its output where it is another than was to come."""
    began = time.monotonic()
    done = inside.start("/try/venv/bin/align", *words)
    seconds = time.monotonic() - began
    if done.returncode != code or word not in done.stdout + done.stderr:
        return f"wrong: exit code {done.returncode}: {(done.stdout + done.stderr)[-400:]!r}"
    return f"{word}, exit code {code}, {seconds:.1f} s"


@dataclass(frozen=True)
class _Inside:
    """Commands in a root, with nothing of this system's environment but what pip needs to reach its index."""

    root: Path

    def start(self, *words: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        environment = kept | {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.run(  # noqa: S603  # our own words
            ["chroot", str(self.root), "/bin/sh", "-c", 'cd /try && exec "$@"', "sh", *words],  # noqa: S607
            env=environment | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *words: str) -> None:
        done = self.start(*words)
        if done.returncode:
            sys.exit(f"{self.root.name}: {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def told(self, *words: str) -> str:
        return self.start(*words).stdout.strip()


def _write_logs(folder: Path) -> None:
    sys.path.insert(0, str(HERE))
    from tests.docs.example_logs import write_logs

    write_logs(folder)


def _megabytes(folder: Path) -> int:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return round(size / 1e6)


def _run(words: Sequence[str]) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # our own words


def _told(words: Sequence[str]) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603  # our own words


if __name__ == "__main__":
    sys.exit(main())
