"""The code that a run's numbers follow from: where it changes, a study's runs are made anew."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import harness
import models
from harness.devices.surroundings import versions

__all__ = ["code_digest"]

_PARTS = (
    *("emulation", "recording", "running/experiment.py", "running/around.py"),
    *("power/worker.py", "power/fingerprint.py"),
)
"""Of this package; rules are not among them: runs are judged again by other rules without being run again."""

_WATCHING = "shadow"
"""What a run's shadow record follows from as well."""


@lru_cache(maxsize=8)
def code_digest(config: Path, *, shadowed: bool = False) -> str:
    """A digest of the models, of the emulated device, of what records, of the config, and of torch's version.

    Args:
        config: the case's.
        shadowed: whether shadow ops watch the run; then of these too.
    """
    digest = hashlib.blake2b(digest_size=16)
    package = Path(harness.__file__).parent
    parts = [*_PARTS, *([_WATCHING] if shadowed else [])]
    roots = [Path(models.__file__).parent, *(package / part for part in parts), config]
    for root in roots:
        files = sorted(root.rglob("*.py")) if root.is_dir() else [root]
        for file in files:
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    digest.update(versions().get("torch", "").encode())
    return digest.hexdigest()
