"""The two logs that the pages of docs/ compare: written, so that what the pages show can be made again.

python tests/docs/example_logs.py FOLDER
"""

import math
import sys
from pathlib import Path


def write_logs(folder):
    """Write cuda.log and sdaa.log, in mmengine's format: one experiment, whose candidate's loss is 8 % too high."""
    for name, factor in (("cuda", 1.0), ("sdaa", 1.08)):
        lines = []
        for i in range(1, 101):
            loss = (3.2 * math.exp(-i / 60) + 0.4 + 0.3 * math.sin(i * i)) * factor + 2e-4 * math.cos(7 * i * factor)
            lines.append(
                f"2026/11/29 12:00:{i % 60:02d} - mmengine - INFO - Iter(train) [{i:5d}/40000]  "
                f"lr: 1.0000e-02  time: 0.4100  memory: 5120  loss: {loss:.4f}"
            )
        (folder / f"{name}.log").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_logs(Path(sys.argv[1]))
