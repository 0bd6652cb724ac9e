"""Versions, environment variables and host: what may differ between two sides, and is shown."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from subprocess import DEVNULL, PIPE, run

from harness.devices.registry import known_device_types

__all__ = ["git_commit", "host", "numerics_environment", "versions"]

_PACKAGES = ("alignment-harness", "torch", "mmengine", "mmcv", "mmcv-lite", "mmsegmentation", "numpy")


def versions() -> dict[str, str]:
    """Package → version, of those that are installed, and Python's."""
    found = {"python": platform.python_version()}
    for package in (*_PACKAGES, *(name for device in known_device_types() for name in device.distributions)):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def numerics_environment() -> dict[str, str]:
    """Every environment variable that changes numerics or placement and is set, of any device: several may be here."""
    named = {name for device in known_device_types() for name in (*device.variables, device.visible_variable) if name}
    beginnings = tuple(name for name in named if name.endswith("_"))
    return {name: value for name, value in sorted(os.environ.items()) if name in named or name.startswith(beginnings)}


def host(threads: int) -> dict[str, str]:
    """The host's architecture, system and thread count."""
    return {"machine": platform.machine(), "system": platform.system(), "threads": str(threads)}


def git_commit(folder: Path, *, but_for: str = "") -> str:
    """The checkout's commit, with ``-dirty`` where tracked files were changed; empty outside a checkout.

    Args:
        folder: anywhere in the checkout.
        but_for: a folder at its top whose changes don't count.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        try:
            return run(command, stdout=PIPE, stderr=DEVNULL, text=True, timeout=10, check=False).stdout.strip()  # noqa: S603  # our own words
        except OSError:
            return ""

    commit = git("rev-parse", "--short=12", "HEAD")
    looked_at = ["--", ":(top)", *([f":(top,exclude){but_for}"] if but_for else [])]
    changed = bool(commit) and bool(git("status", "--porcelain", "--untracked-files=no", *looked_at))
    return f"{commit}-dirty" if changed else commit
