"""What baselines there are: of which case, in which place, whole or damaged, and which of them is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.baseline_folders.baseline_archive import ARCHIVE_SUFFIX, opened
from harness.baseline_folders.baseline_places import Place, choose_place
from harness.store.atomic import require_plain_name
from harness.store.baselines import list_references, load_baseline
from harness.values.baseline import Baseline
from harness.values.errors import AlignmentError, BaselineError, UsageError

__all__ = ["Kept", "cases_with_baselines", "find_baselines", "named_baseline", "used_reference"]


@dataclass(frozen=True, eq=False)
class Kept:
    """One baseline in one place.

    Args:
        case: the case's name.
        reference: the baseline's name.
        place: where it lies.
        baseline: what it holds; None where it can't be read.
        damage: why it can't; None where it can.
        use: when it is judged by, in words.
    """

    case: str
    reference: str
    place: Place
    baseline: Baseline | None
    damage: AlignmentError | None
    use: str

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.place.path / self.case / self.reference


def cases_with_baselines(places: Sequence[Place]) -> list[str]:
    """The names of the cases that some place holds a baseline of, sorted."""
    found = set()
    for place in places:
        for folder in place.path.iterdir() if place.path.is_dir() else ():
            try:
                named = require_plain_name(folder.name, "a case's name")
            except UsageError:
                continue  # a hidden folder of an editor or of git is no case
            if folder.is_dir() and list_references(place.path, named):
                found.add(named)
    return sorted(found)


def used_reference(places: Sequence[Place], case: str, asked: str) -> tuple[Path, str, str]:
    """Which baseline ``align verify CASE`` judges by, where nothing else is asked for.

    Args:
        places: that it reads, in their order.
        case: the case's name.
        asked: the reference that its alignment block names; empty for none.

    Returns:
        The place, the reference (empty where there is none, or none can be chosen) and why, in words.
    """
    path = choose_place(places, case, asked)
    names = list_references(path, case)
    if asked in names and asked:
        return path, asked, "the case's alignment block names it"
    if asked:
        return path, "", f"the case's alignment block names {asked!r}, which isn't here"
    if len(names) == 1:
        return path, names[0], "the only one" if len(places) == 1 else "the first place's only one"
    return path, "", "none" if not names else "one of several: --reference chooses"


def find_baselines(places: Sequence[Place], case: str, asked: str = "") -> list[Kept]:
    """Every baseline of a case, in the order of the places; a damaged one is among them, with what is wrong."""
    used, chosen, why = used_reference(places, case, asked)
    found = []
    for place in places:
        for reference in list_references(place.path, case):
            baseline, damage = None, None
            try:
                baseline = load_baseline(place.path, case, reference)
            except AlignmentError as error:
                damage = error
            hidden = choose_place(places, case, reference) != place.path
            if place.path == used and reference == chosen:
                use = f"by default: {why}"
            elif hidden:
                use = "never: an earlier place has one of this name"
            else:
                use = f"with --reference {reference}"
            found.append(Kept(case, reference, place, baseline, damage, use))
    return found


def named_baseline(text: str, places: Sequence[Place], asked: str = "") -> tuple[Baseline, str]:
    """The baseline that the command line names.

    Args:
        text: ``CASE``, ``CASE/REFERENCE``, a baseline's folder, or an archive of one.
        places: to look for a name in.
        asked: the reference of the case's alignment block; empty for none.

    Returns:
        The baseline and where it lies.

    Raises:
        BaselineError: there is none, or it is damaged; or an archive holds several.
    """
    path = Path(text)
    if path.suffix == ARCHIVE_SUFFIX or (path / "baseline.json").is_file():
        with opened(path) as parcels:
            if len(parcels) != 1:
                held = ", ".join(f"{one.case}/{one.reference}" for one in parcels)
                raise BaselineError("an archive holds several baselines", where=path, observed=held, allowed="one")
            return load_baseline(parcels[0].root, parcels[0].case, parcels[0].reference), str(path)
    case, _, reference = text.partition("/")
    require_plain_name(case, "the case's name")
    root = choose_place(places, case, reference or asked)
    known = list_references(root, case)
    chosen = reference or (asked if asked in known else "")
    if (reference and reference not in known) or not known:
        raise BaselineError(
            f"there is no baseline {text!r}",
            where=", ".join(str(place.path) for place in places),
            allowed=", ".join(f"{case}/{name}" for name in known) or ", ".join(cases_with_baselines(places)) or None,
            hint="align baseline list",
        )
    baseline = load_baseline(root, case, chosen)
    return baseline, str(root / case / baseline.reference)
