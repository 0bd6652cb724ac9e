"""Versions, environment variables and host: what may differ between two sides, and is shown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from subprocess import DEVNULL, PIPE, TimeoutExpired, run

from harness.devices.device_registry import known_device_types

__all__ = ["git_commit", "host", "numerics_environment", "package_versions", "versions"]

_LITE = "mmengine-lite"
"""The same package as mmengine, by a name that asks for less beside it."""

_PACKAGES = ("alignment-harness", "torch", "mmengine", _LITE, "mmcv", "mmcv-lite", "mmsegmentation", "numpy")


GIT_TIMEOUT = 10.0
"""Seconds that a run waits for each answer of git."""


def versions() -> dict[str, str]:
    """Package → version, of those that are installed, and Python's."""
    others = (name for device in known_device_types() for name in device.distributions)
    found = package_versions(("python", *_PACKAGES, *others))
    if (lite := found.pop(_LITE, None)) is not None:
        found.setdefault("mmengine", lite)
    return found


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Package → version of those that are installed, in their order; ``python`` is Python's own."""
    found = {}
    for package in packages:
        try:
            found[package] = platform.python_version() if package == "python" else metadata.version(package)
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

    Where git takes longer than a run should wait for it, as on a file system across a network, it ends in ``-unknown``:
    nobody knows whether files were changed. A run doesn't end over it.

    Args:
        folder: anywhere in the checkout.
        but_for: a folder at its top whose changes don't count.
    """

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(folder), *arguments]
        try:
            told = run(command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, timeout=GIT_TIMEOUT, check=False).stdout  # noqa: S603  # our own words
        except TimeoutExpired:
            return None
        except OSError:
            return ""
        return told.decode("utf-8", "replace").strip()

    commit = git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return ""
    looked_at = ["--", ":(top)", *([f":(top,exclude){but_for}"] if but_for else [])]
    changed = git("--no-optional-locks", "status", "--porcelain", "--untracked-files=no", *looked_at)
    return f"{commit}-unknown" if changed is None else f"{commit}-dirty" if changed else commit
