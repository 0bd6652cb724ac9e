"""Build the sdist, of it the wheel, and install the wheel into this environment: what `tox -e light` tests.

python tests/light/install_built.py FOLDER
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

IN_WHEEL = (
    "harness/py.typed",
    "harness/_shipped_baselines/ann_small/cpu/baseline.json",
    "models/configs/ann/ann_small.py",
    "reports/__init__.py",
)
IN_SDIST = (
    "baselines/ann_small/cpu/baseline.json",
    "constraints.txt",
    "docs/install.md",
    "tests/conftest.py",
    "tox.ini",
)


def main(folder):
    """Build into a folder, look at what was built, install."""
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True)
    (sdist,), (wheel,) = Path(folder).glob("*.tar.gz"), Path(folder).glob("*.whl")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    lacking = [name for name in IN_SDIST if name not in names]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    lacking += [name for name in IN_WHEEL if name not in names]
    strangers = sorted(
        {name.partition("/")[0] for name in names if ".dist-info/" not in name} - {"harness", "models", "reports"}
    )
    if lacking or strangers:
        sys.exit(f"lacking: {lacking}; not to be there: {strangers}")
    constraints = ["-c", str(ROOT / "constraints.txt")]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *constraints, str(wheel)], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
