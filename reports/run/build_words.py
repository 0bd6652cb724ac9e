"""The accelerator's build in a table's cell: of many versions those that tell the rows apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.words.wording import NOTHING

__all__ = ["build_words"]

_SHOWN = 3


def build_words(builds: Sequence[Mapping[str, str]]) -> list[str]:
    """Each build in a few words: what differs between them first, then its first versions; emulated ones as such.

    Args:
        builds: name of a part of it → its version; empty where nobody said.
    """
    real = [{name: value for name, value in build.items() if "emulated" not in value} for build in builds]
    names = dict.fromkeys(name for build in real for name in build)
    differing = [name for name in names if len({build[name] for build in real if name in build}) > 1]
    order = [*differing, *(name for name in names if name not in differing)]
    return [_words(build, parts, order, differing) for build, parts in zip(builds, real, strict=True)]


def _words(build: Mapping[str, str], parts: Mapping[str, str], order: Sequence[str], differing: Sequence[str]) -> str:
    if not parts:
        return "emulated" if build else NOTHING
    there = [name for name in order if name in parts]
    shown = there[: max(_SHOWN, sum(name in differing for name in there))]
    more = f", {len(there) - len(shown)} more" if len(there) > len(shown) else ""
    return ", ".join(f"{name} {parts[name]}" for name in shown) + more
