"""`align baseline`: what baselines there are, what made them, how two differ, and how one travels."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from harness.cli.options import reproduction
from harness.cli.terminal import open_console, plain_table
from harness.language import say
from harness.values.errors import AlignmentError, CaseError
from harness.values.verdict import Status

if TYPE_CHECKING:
    from harness.baseline_folders.baseline_adoption import Arrival
    from harness.baseline_folders.baseline_inventory import Kept
    from harness.values.baseline import Baseline
    from harness.values.case import Case

__all__ = ["add_parser"]

_DESCRIPTION = """\
Baselines are healthy runs of a case on a trusted device, which candidates are judged by.

  align baseline list                                  what there is, where it lies, and which is used for what
  align baseline show ann_small                        what made it, and the smallest deviations that it can see
  align baseline diff ann_small/cpu ann_small/cuda     the signed change from one to the other
  align baseline export ann_small/cuda --out ann.zip   on the machine with the GPU: one file to carry
  align baseline adopt ann.zip                         on the machine with the accelerator: checked, then placed
"""

_NAMES = "CASE, CASE/REFERENCE, a baseline's folder, or an exported archive"


def add_parser(commands: Any) -> None:
    """Add the command and its actions to the parser."""
    parser = commands.add_parser(
        "baseline",
        help="what baselines there are; carry one to another machine",
        description=_DESCRIPTION,
        epilog="Baselines are read from --baseline-dir or $ALIGN_BASELINE_DIR, else from ./baselines and then from "
        "those that come with align; the first that holds what is asked for is taken.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    listing = actions.add_parser("list", help="what there is", description="Lists baselines; exit code 2 if any is "
                                 "damaged.")  # fmt: skip
    listing.add_argument("cases", nargs="*", metavar="CASE", help="of these cases alone; a name or a config's path")
    listing.add_argument("--json", action="store_true", help="print it as JSON")
    listing.set_defaults(func=_list)

    showing = actions.add_parser("show", help="what made one, and what it can see", description="Shows a baseline.")
    showing.add_argument("baseline", metavar="BASELINE", help=_NAMES)
    showing.set_defaults(func=_show)

    diff = actions.add_parser(
        "diff",
        help="the signed change from one to another",
        description="Shows how loss and gradient norm change from OLD to NEW, beside how far healthy runs of OLD "
        "differ, and what else differs.",
    )
    diff.add_argument("old", metavar="OLD", help=_NAMES)
    diff.add_argument("new", metavar="NEW", help=_NAMES)
    diff.set_defaults(func=_diff)

    export = actions.add_parser(
        "export", help="write baselines into one file to carry", description="Writes baselines into one zip file."
    )
    export.add_argument("baselines", nargs="+", metavar="BASELINE", help="CASE or CASE/REFERENCE")
    export.add_argument("--out", type=Path, required=True, metavar="FILE.zip", help="the archive")
    export.set_defaults(func=_export)

    adopt = actions.add_parser(
        "adopt",
        help="check a baseline that was recorded elsewhere, and place it",
        description="Checks what arrived: checksums, schema, that it is whole, and that its config has the settings "
        "that this machine's has. Then places it into ./baselines, or where --baseline-dir says.",
    )
    adopt.add_argument("source", type=Path, metavar="FILE.zip|DIR", help="an exported archive, or a copied folder")
    adopt.add_argument("--case", default="", metavar="CASE", help="the config of a case of your own, to compare with")
    adopt.add_argument(
        "--cfg-options", nargs="+", default=[], action="extend", metavar="KEY=VALUE", help="that it was recorded with"
    )
    adopt.add_argument("--reason", default="", metavar="TEXT", help="why; asked for when a baseline is replaced")
    adopt.add_argument("--dry-run", action="store_true", help="check it, and write nothing")
    adopt.set_defaults(func=_adopt)

    for action in (listing, showing, diff, export, adopt):
        action.add_argument(
            "--baseline-dir",
            type=Path,
            metavar="DIR",
            help="where the baselines lie (default: $ALIGN_BASELINE_DIR, else ./baselines, then those that come along)",
        )


def _list(arguments: argparse.Namespace) -> int:
    from harness.baseline_folders.baseline_inventory import cases_with_baselines, find_baselines
    from harness.baseline_folders.baseline_places import places_to_read

    places = places_to_read(arguments.baseline_dir)
    cases = [_known_case(name) for name in arguments.cases]
    wanted = [(case.name, case.reference) for case in cases]
    wanted = wanted or [(name, _asked_by_config(name)) for name in cases_with_baselines(places)]
    found = [kept for name, asked in wanted for kept in find_baselines(places, name, asked)]
    if arguments.json:
        print(_as_json(found))
    else:
        console = open_console()
        console.print(_inventory(found))
        for kept in found:
            if kept.damage is not None:
                console.print(Text(say(f"damaged: {kept.case}/{kept.reference}: {kept.damage}"), style="bold red"))
        missing = [name for name, _ in wanted if not any(kept.case == name for kept in found)]
        for name in missing:
            console.print(Text(say(f"no baseline of {name}: align record {name} --device cuda")))
        for place in places:
            there = "" if place.path.is_dir() else ", which isn't there"
            console.print(Text(say(f"read from {place.path} ({say(place.origin)}){there}"), style="dim"))
    return Status.ERROR.exit_code if any(kept.damage for kept in found) else 0


def _inventory(found: Sequence[Kept]) -> Table:
    table = plain_table("baseline", "place", "device", "recorded", "runs", "iterations", "commit", "judged by")
    for kept in found:
        cells = (say("damaged"), "", "", "", "") if kept.baseline is None else _cells(kept.baseline)
        table.add_row(f"{kept.case}/{kept.reference}", say(kept.place.origin), *cells, say(kept.use))
    return table


def _cells(baseline: Baseline) -> tuple[str, str, str, str, str]:
    origin = baseline.provenance
    runs = ", ".join(f"{tier} × {len(runs)}" for tier, runs in baseline.tiers.items())
    return (origin.device.name, baseline.recorded[:10], runs, str(baseline.iterations), origin.commit or "—")


def _as_json(found: Sequence[Kept]) -> str:
    from harness.store.decoding import encode_value

    return encode_value(
        {
            "baselines": [
                {
                    "case": kept.case,
                    "reference": kept.reference,
                    "folder": str(kept.folder),
                    "place": kept.place.origin,
                    "use": kept.use,
                    "damage": None if kept.damage is None else str(kept.damage),
                    "recorded": kept.baseline.recorded if kept.baseline else None,
                    "reason": kept.baseline.reason if kept.baseline else None,
                    "runs": {tier: len(runs) for tier, runs in kept.baseline.tiers.items()} if kept.baseline else None,
                    "iterations": kept.baseline.iterations if kept.baseline else None,
                    "provenance": kept.baseline.provenance if kept.baseline else None,
                }
                for kept in found
            ]
        }
    ).rstrip()


def _show(arguments: argparse.Namespace) -> int:
    from harness.baseline_folders.baseline_adoption import adoption_of
    from harness.baseline_folders.baseline_inventory import named_baseline, used_reference
    from harness.baseline_folders.baseline_places import places_to_read
    from harness.cli.record import print_visibility

    places = places_to_read(arguments.baseline_dir)
    baseline, folder = named_baseline(
        arguments.baseline, places, _asked_by_config(arguments.baseline.partition("/")[0])
    )
    used, chosen, why = used_reference(places, baseline.case, _asked_by_config(baseline.case))
    is_used = str(used / baseline.case / chosen) == folder
    console = open_console()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in _described(baseline, folder):
        table.add_row(say(name), say(value) if name in _TOLD else value)
    judged = f"by default: {why}" if is_used else f"not by default, which is {chosen or why}"
    table.add_row(say("judged by"), say(judged))
    if (adoption := adoption_of(Path(folder))) is not None:
        sender = f" from {adoption.sender}" if adoption.sender else ""
        why = f", in place of the one of {adoption.replaced}: {adoption.reason}" if adoption.replaced else ""
        table.add_row(say("adopted"), f"{adoption.adopted}{sender}, {adoption.source}{why}")
    console.print(table)
    console.print()
    print_visibility(console, baseline)
    return 0


_TOLD = {"recorded", "runs", "precision", "config"}
"""What of a baseline is told in words of ours: the rest was written by whoever recorded it, or is a name."""


def _described(baseline: Baseline, folder: str) -> list[tuple[str, str]]:
    from harness.baseline_folders.baseline_archive import settings_digest

    origin = baseline.provenance
    device = origin.device
    short = f"fp64 × 1 of {len(baseline.fp64)} iterations" if baseline.fp64 is not None else "no fp64 run"
    runs = [f"{tier} × {len(runs)}" for tier, runs in baseline.tiers.items()]
    return [
        ("baseline", f"{baseline.case}/{baseline.reference}"),
        ("folder", folder),
        ("recorded", f"{baseline.recorded}, started {origin.started}"),
        ("why", baseline.reason),
        ("runs", f"{', '.join(runs)} of {baseline.iterations} iterations; {short}"),
        (
            "precision",
            f"{origin.precision}, {origin.world_size} process(es), {origin.global_batch} images an iteration",
        ),
        ("device", f"{device.kind}: {device.name}"),
        ("build", _pairs(device.build)),
        ("versions", _pairs(origin.versions)),
        ("environment", _pairs(origin.environment)),
        ("host", _pairs(origin.host)),
        ("commit", origin.commit or "—"),
        ("command", origin.command or "—"),
        ("config", f"{len(origin.settings)} settings, SHA-256 {settings_digest(origin.settings)[:16]}"),
        ("weights", f"SHA-256 {origin.weights[:16]}"),
    ]


def _pairs(table: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in table.items()) or "—"


def _diff(arguments: argparse.Namespace) -> int:
    from harness.baseline_folders.baseline_inventory import named_baseline
    from harness.baseline_folders.baseline_places import places_to_read
    from harness.rules.comparability import compare_provenance
    from harness.running.baseline_recording import compare_baselines

    places = places_to_read(arguments.baseline_dir)
    (old, old_folder), (new, new_folder) = (
        named_baseline(text, places, _asked_by_config(text.partition("/")[0]))
        for text in (arguments.old, arguments.new)
    )
    console = open_console()
    console.print(Text(say(f"old: {old_folder}, recorded {old.recorded} on {old.provenance.device.name}")))
    console.print(Text(say(f"new: {new_folder}, recorded {new.recorded} on {new.provenance.device.name}")))
    sides = [next(iter(side.tiers.values()))[0] for side in (old, new)]
    rows = [row for row in compare_provenance(old.provenance, new.provenance, *sides) if not row.agrees]
    if another := [row for row in rows if row.required]:
        console.print(Text(say(f"another experiment: {len(another)} of what must agree differ"), style="bold yellow"))
    if rows:
        table = Table(title=say("what differs"), box=None, pad_edge=False, title_justify="left")
        for name in ("what", "old", "new", "must agree"):
            table.add_column(say(name))
        for row in rows:
            table.add_row(row.what, _cut(row.reference), _cut(row.candidate), say("yes" if row.required else "no"))
        console.print(table)
    for side, other, name in ((old, new, "new"), (new, old, "old")):
        if absent := [tier for tier in side.tiers if tier not in other.tiers]:
            console.print(Text(say(f"the {name} one has no runs at {', '.join(absent)}")))
    changes = compare_baselines(old, new)
    if not changes:
        console.print(Text(say("no tier that both have: no change of loss or gradient norm can be told")))
        return 0
    table = Table(title=say("signed change from old to new"), box=None, pad_edge=False, title_justify="left")
    for name in ("tier", "signal", "mean", "largest", "at iteration", "healthy runs of old differ there by (σ)"):
        table.add_column(say(name))
    for change in changes:
        sigma = _spread_at(old, change.tier, change.signal, change.iteration)
        mean, largest = f"{100 * change.mean:+.3g} %", f"{100 * change.largest:+.3g} %"
        table.add_row(change.tier, change.signal, mean, largest, str(change.iteration), f"{100 * sigma:.3g} %")
    console.print(table)
    return 0


def _spread_at(baseline: Baseline, tier: str, signal: str, iteration: int) -> float:
    """Relative standard deviation of a tier's healthy runs at one iteration."""
    import numpy as np

    values = np.array([run.signals[signal][iteration] for run in baseline.tiers[tier]])
    return float(values.std(ddof=1) / abs(values.mean()))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _export(arguments: argparse.Namespace) -> int:
    from harness.baseline_folders.baseline_archive import export
    from harness.baseline_folders.baseline_inventory import named_baseline
    from harness.baseline_folders.baseline_places import places_to_read
    from harness.running.invoking import begin_invocation

    places = places_to_read(arguments.baseline_dir)
    chosen = {}
    for text in arguments.baselines:
        baseline, folder = named_baseline(text, places, _asked_by_config(text.partition("/")[0]))
        chosen[folder] = (Path(folder).parent.parent, baseline)
    size = export(list(chosen.values()), arguments.out, begin_invocation("", ()).version)
    console = open_console()
    for folder in chosen:
        console.print(Text(say(f"packed {folder}")))
    console.print(Text(say(f"archive: {arguments.out}, {size / 2**10:.0f} KiB")))
    console.print(Text(say(f"next, on the other machine: align baseline adopt {shlex.quote(arguments.out.name)}")))
    return 0


def _adopt(arguments: argparse.Namespace) -> int:
    from harness.baseline_folders.baseline_adoption import Adoption, inspect, place, require_replaceable
    from harness.baseline_folders.baseline_archive import opened
    from harness.baseline_folders.baseline_places import writing_folder
    from harness.running.baseline_recording import load_previous

    root = writing_folder(arguments.baseline_dir)
    console = open_console()
    with opened(arguments.source) as parcels:
        arrived = [inspect(parcel, arguments.source) for parcel in parcels]  # all are checked before one is placed
        for arrival in arrived:
            said = _compared_with_config(arrival, arguments)
            replaced = require_replaceable(root, arrival.baseline, arguments.reason, reproduction())
            where = f"{arrival.baseline.case}/{arrival.baseline.reference}"
            console.print(Text(say(f"checked {where}: whole, checksums agree; {said}")))
            if arguments.dry_run:
                would = f"it would {'replace' if replaced else 'be new in'} {root / where}"
                console.print(Text(say(f"nothing written (--dry-run); {would}")))
        for arrival in arrived if not arguments.dry_run else ():
            baseline = arrival.baseline
            before = load_previous(root, baseline.case, baseline.reference)
            adoption = Adoption(
                str(arguments.source),
                arrival.parcel.sender,
                datetime.now(timezone.utc).isoformat(timespec="seconds"),
                arguments.reason,
                before.recorded if before else "",
            )
            console.print(Text(say(f"baseline: {place(arrival, root, adoption)}")))
    return 0


def _compared_with_config(arrival: Arrival, arguments: argparse.Namespace) -> str:
    """Whether this machine's config is the one that was recorded of, in words.

    Raises:
        BaselineError: it isn't.
        CaseError: ``--case`` names another case.
    """
    from harness.baseline_folders.baseline_adoption import require_same_settings
    from harness.running.cases import load_case
    from harness.running.own_cases import source_digest

    name = arrival.baseline.case
    try:
        case, config = load_case(arguments.case or name, arguments.cfg_options)
    except CaseError:
        if arguments.case:
            raise
        return f"its config was not compared: --case PATH/{name}.py compares the one that is here"
    if case.name != name:
        raise CaseError("this is another case's config", where=case.config, observed=case.name, allowed=name)
    if config is None:
        here, there = source_digest(case), arrival.baseline.provenance.versions.get("case file", "")
        return "its file is the one that is here" if here == there else f"its file differs from {case.config}"
    from harness.running.settings_of_config import effective_settings, restart_settings

    settings = {**effective_settings(config), **restart_settings(case)}
    require_same_settings(arrival.baseline, settings, case.config)
    return f"all {len(settings)} settings of its config are those of {case.config}"


def _known_case(name: str) -> Case:
    from harness.running.cases import find_case

    return find_case(name)


def _asked_by_config(name: str) -> str:
    """The reference that a case's alignment block names; empty where it names none, or the case isn't ours."""
    from harness.running.cases import find_case

    try:
        return find_case(name).reference
    except AlignmentError:
        return ""
