"""Where baselines lie: one folder that is given, or the working directory's and those that come along.

Reading looks into each place in turn, and takes the first that holds what is asked for. Writing goes to the first: an
installed package's own folder is never written to.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.store.baselines import list_references

__all__ = ["HERE", "VARIABLE", "Place", "choose_place", "places_to_read", "shipped_folder", "writing_folder"]

VARIABLE = "ALIGN_BASELINE_DIR"
"""The environment variable that names the folder of the baselines."""

HERE = Path("baselines")
"""Of the working directory: where ``align record`` writes without ``--baseline-dir``."""


@dataclass(frozen=True)
class Place:
    """A folder that holds baselines, ``<case>/<reference>/``.

    Args:
        path: the folder, which may be missing.
        origin: why it is looked into, in a few words.
    """

    path: Path
    origin: str


def shipped_folder() -> Path:
    """The baselines that come with the project: of the checkout, or of the installed package."""
    package = Path(harness.__file__).parent
    installed = package / "_shipped_baselines"
    return installed if installed.is_dir() else package.parent / "baselines"


def places_to_read(given: Path | None = None, *, own: bool = False) -> tuple[Place, ...]:
    """The folders that baselines are read from, the first one first.

    Args:
        given: by ``--baseline-dir``: then that one alone.
        own: whether the case is a user's own, of which no baseline comes along.
    """
    if given is not None:
        return (Place(given, "--baseline-dir"),)
    if variable := os.environ.get(VARIABLE):
        return (Place(Path(variable), f"${VARIABLE}"),)
    here = Place(HERE, "the working directory")
    shipped = Place(shipped_folder(), "comes along")
    if own or shipped.path.resolve() == HERE.resolve():
        return (here,)
    return (here, shipped)


def writing_folder(given: Path | None = None) -> Path:
    """The folder that baselines are written to."""
    return places_to_read(given, own=True)[0].path


def choose_place(places: Sequence[Place], case: str, reference: str = "") -> Path:
    """The folder that a case's baseline is read from.

    Args:
        places: in their order.
        case: the case's name.
        reference: which baseline is asked for; any where empty.

    Returns:
        The first place that holds it; without one the first that holds any baseline of the case, else the first.
    """
    held = [(place.path, list_references(place.path, case)) for place in places]
    exact = [path for path, names in held if reference and reference in names]
    of_the_case = [path for path, names in held if names]
    return next(iter([*exact, *of_the_case, places[0].path]))
