"""What the scripts of this folder share: python script.py FOLDER KIND [FAULT]."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def device(kind, faults):
    """The torch device type, opened."""
    if kind != "emulated":
        return kind
    from harness.lab.emulation import install
    from harness.lab.faults import parse_fault

    install("fp32", [parse_fault(fault) for fault in faults])
    return "sdaa"


def start(train):
    """Train once on a candidate; on the host five times, as a reference's repeats."""
    folder, kind, *faults = sys.argv[1:]
    opened = device(kind, faults)
    for repeat in range(5) if kind == "cpu" else [None]:
        if repeat is not None:
            os.environ.update(ALIGN_TIER="fp32", ALIGN_REPEAT=str(repeat))
        train(folder, opened)
