"""`align evaluate`: the accuracy of a checkpoint on a data set, and the files that a test server wants."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.options import add_device_options, add_jobs_option, chosen_device, count_argument, reproduction
from harness.cli.progress import Board
from harness.cli.terminal import announce, open_console
from harness.devices.choice import DeviceChoice
from harness.language import say
from harness.rules.budget import FALSE_ALARM_RATE, require_rate
from harness.running.pool import Slot, run_side_by_side, slots_for
from harness.store.atomic import write_text
from harness.values.errors import UsageError
from harness.values.result import Result
from harness.values.terms import Against, Terms

if TYPE_CHECKING:
    from harness.evaluating.counts_stream import ImageRow
    from harness.evaluating.evaluation_order import EvaluationOrder
    from harness.evaluating.evaluation_pass import Evaluation, Identity
    from models.datasets.evaluation_set import EvaluationSet

__all__ = ["add_parser"]

_DESCRIPTION = """\
Asks a trained model for every image of a data set, and scores its answers as the Cityscapes benchmark does:
of Cityscapes, ADE20K or Pascal Context, as their folders lie on disk, or of generated scenes.

  align evaluate ann_small work_dirs/ann_small/iter_200.pth --device cpu
  align evaluate ann_r50-d8_4xb2-40k_cityscapes-769x769 CHECKPOINT --mode slide --scales 0.75 1 1.25 --flip
  align evaluate CONFIG CHECKPOINT --data-root /data/cityscapes --split test --export for-the-server
  align evaluate CONFIG CHECKPOINT --device cuda --as-reference --work-dir reference
  align evaluate CONFIG CHECKPOINT --device sdaa --against reference --out report
"""

_EPILOG = """\
An image, a window, a scale and a mirrored view each are a pass of one image: no answer and no score depends on a batch
size or on the number of processes. What is done is on disk image by image; the same command goes on where it was.
exit codes: 0 done · 2 ERROR or wrong usage; with --against 0 PASS · 1 FAIL · 2 ERROR · 3 INCONCLUSIVE"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate",
        help="the accuracy of a checkpoint on a validation set",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("config", metavar="CONFIG", help="a case's name, or the path of a config")
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the whole model's weights")
    add_device_options(parser)
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], action="extend", metavar="KEY=VALUE", help="lay values over the config"
    )
    parser.add_argument("--split", choices=("train", "val", "test"), default="val", help="which part of the data set")
    parser.add_argument("--data-root", metavar="DIR", help="where the data set lies (default: as the config says)")
    parser.add_argument(
        "--limit", type=count_argument, default=0, metavar="N", help="the first N images alone (default: all)"
    )
    add_inference_options(parser)
    parser.add_argument(
        "--nproc-per-node", type=count_argument, default=1, metavar="N", help="processes that share the images"
    )
    add_jobs_option(parser, "passes of a reference", by_memory=False)
    parser.add_argument("--work-dir", type=Path, metavar="DIR", help="by default work_dirs/<case>/evaluation-<device>")
    parser.add_argument(
        "--as-reference",
        action="store_true",
        help="make a reference for other devices: also how sure each answer is, and --repeats passes at other rounding",
    )
    parser.add_argument("--repeats", type=count_argument, default=8, metavar="K", help="of a reference")
    parser.add_argument("--tier", default="", help="precision tier of the repeats, by default the case's own")
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="judge the answers against this reference: the same weights, images"
    )
    parser.add_argument("--false-alarm-rate", type=float, default=FALSE_ALARM_RATE, metavar="P", help="of that verdict")
    parser.add_argument(
        "--independent-images",
        action="store_true",
        help="images of one city are independent, as generated scenes are: each is a cluster of its own for intervals",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write that verdict's report into this folder")
    parser.add_argument("--export", type=Path, metavar="DIR", help="write label-id PNGs there, checked, and DIR.zip")
    parser.add_argument(
        "--stall-timeout", type=float, default=900.0, metavar="S", help="ended after S seconds without an image"
    )
    parser.set_defaults(func=run)


def add_inference_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how the model is asked; what the config says where they are silent."""
    parser.add_argument(
        "--mode",
        choices=("whole", "slide"),
        help="in one piece, or in windows; by default as the config's model.test_cfg says, whole without one",
    )
    parser.add_argument(
        "--crop", nargs=2, type=count_argument, metavar=("H", "W"), help="of a window (default: as the config says)"
    )
    parser.add_argument(
        "--stride",
        nargs=2,
        type=count_argument,
        metavar=("H", "W"),
        help="from window to window (default: as the config says)",
    )
    parser.add_argument(
        "--resize",
        nargs=2,
        type=count_argument,
        metavar=("W", "H"),
        help="fit images into this size first (default: the pipeline's)",
    )
    parser.add_argument(
        "--scales", nargs="+", type=float, metavar="S", help="factors of the size, each a pass (default: 1)"
    )
    parser.add_argument("--flip", action="store_true", default=None, help="ask for the mirrored image too")
    parser.add_argument(
        "--fuse",
        choices=("softmax", "logits"),
        help="several scales and views become one by the mean of softmax, as mmsegmentation does (the default), or by "
        "the sum of logits, as the original ANN does",
    )
    parser.add_argument("--amp", action="store_true", default=None, help="under autocast")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, and show the table."""
    from harness.evaluating.evaluation_pass import evaluate

    choice = chosen_device(arguments)
    announce(choice)
    if arguments.as_reference and (arguments.profile or arguments.fault or arguments.against):
        raise UsageError("a reference has no faults, no profile, and no other reference", where="--as-reference")
    order, identity, data = prepare(arguments, str(choice))
    names = [files.name for files in data.files]
    folder = arguments.work_dir or Path("work_dirs") / identity.case / f"evaluation-{str(choice).replace(':', '-')}"
    console = open_console(stderr=True)
    wanted = len(names) if order.images is None else len(order.images)
    console.print(say(f"{identity.case}: {wanted} images of {identity.data}"), markup=False)
    console.print(say(identity.inference), markup=False)
    with Board(1, "evaluations") as board, board.running(say("evaluating"), wanted) as advance:
        done = evaluate(
            order,
            identity,
            names,
            folder,
            processes=arguments.nproc_per_node,
            stall=arguments.stall_timeout,
            on_image=lambda row: advance(image_note(row)),
        )
    if done.resumed:
        console.print(say(f"went on from {done.resumed} images that were done before"), markup=False)
    passes = sum(row.passes for row in done.rows)
    console.print(
        say(
            f"{len(done.rows)} images, {passes} passes; the model took {1 / done.images_a_second:.3g} s an image "
            f"({done.images_a_second:.3g} images a second a process)"
        ),
        markup=False,
    )
    _show(done, data, folder)
    if order.export:
        from harness.evaluating.export import check_and_pack

        packed = check_and_pack(
            Path(order.export), [data.files[i] for i in order.images or range(len(names))], data.table
        )
        print(say(f"export: {packed}, {wanted} label-id maps, checked"))
    if arguments.as_reference:
        _repeat(arguments, choice, order, identity, names, folder)
    if arguments.against is not None:
        return _judge(arguments, done)
    return 0


def _repeat(
    arguments: argparse.Namespace,
    choice: DeviceChoice,
    order: EvaluationOrder,
    identity: Identity,
    names: list[str],
    folder: Path,
) -> None:
    """The same evaluation at other rounding, which says what healthy devices may answer otherwise."""
    from harness.evaluating.evaluation_pass import evaluate
    from harness.evaluating.reference_folder import healthy_folder

    tier = _tier(arguments)
    slots = slots_for(choice, arguments.jobs, arguments.nproc_per_node)
    with Board(arguments.repeats, "repeats", arguments.repeats * len(names)) as board:

        def repeat(number: int, slot: Slot) -> None:
            place = say(f"card {slot.card}") if slot.card else ""
            with board.running(say(f"repeat {number} of {arguments.repeats}"), len(names), place) as advance:
                evaluate(
                    replace(order, noise_tier=tier, noise_seed=number, keep_margins=False, export=""),
                    replace(identity, noise=f"{tier}, repeat {number}"),
                    names,
                    healthy_folder(folder, tier, number),
                    processes=arguments.nproc_per_node,
                    stall=arguments.stall_timeout,
                    on_image=lambda row: advance(image_note(row)),
                    slot=slot,
                )

        def tell(place: int, _: None) -> None:
            board.done()
            board.print(say(f"repeat {place + 1} of {arguments.repeats} at {tier}"))

        run_side_by_side(range(1, arguments.repeats + 1), repeat, slots, tell)
    print(say(f"reference: {folder}, {arguments.repeats} repeats at {tier}"))


def _judge(arguments: argparse.Namespace, done: Evaluation) -> int:
    """Hold the answers to the reference's."""
    from harness.cli.accuracy import show_verdict
    from harness.evaluating.alignment import judge_against

    started = time.monotonic()
    verdict = judge_against(
        arguments.against,
        done,
        _tier(arguments),
        require_rate(arguments.false_alarm_rate),
        by_image=arguments.independent_images,
    )
    terms = Terms(
        Against.ANSWERS, arguments.false_alarm_rate, asked=(f"tier {_tier(arguments)}", done.identity.inference)
    )
    result = Result(
        verdict,
        command=reproduction(),
        seconds=time.monotonic() - started + done.seconds,
        asked_device=done.identity.device,
        terms=terms,
    )
    return show_verdict(result, arguments.out)


def _tier(arguments: argparse.Namespace) -> str:
    from harness.running.cases import find_case

    return str(arguments.tier or find_case(arguments.config, arguments.cfg_options).tier)


def prepare(arguments: argparse.Namespace, device: str) -> tuple[EvaluationOrder, Identity, EvaluationSet]:
    """What is to be evaluated; everything that can be refused is refused here, before a device is opened.

    Raises:
        AlignmentError: the config, the data set, the checkpoint or an option is not valid.
    """
    import hashlib

    from harness.evaluating.evaluation_order import EvaluationOrder
    from harness.evaluating.evaluation_pass import Identity, file_digest
    from harness.inference.inference_settings import Fuse, settings_of
    from harness.running.cases import flatten, load_configured_case
    from models.datasets.evaluation_set import evaluation_set

    case, config = load_configured_case(arguments.config, arguments.cfg_options)
    asked = {
        "mode": arguments.mode,
        "crop": arguments.crop and tuple(arguments.crop),
        "stride": arguments.stride and tuple(arguments.stride),
        "resize": arguments.resize and tuple(arguments.resize),
        "scales": arguments.scales and tuple(arguments.scales),
        "flip": arguments.flip,
        "fuse": Fuse(arguments.fuse) if arguments.fuse else None,
        "amp": arguments.amp,
    }
    inference = settings_of(config, asked)
    data = evaluation_set(config, arguments.split, arguments.data_root)
    names = [files.name for files in data.files]
    if arguments.limit > len(names):
        raise UsageError(
            "there are fewer images", where="--limit", observed=arguments.limit, allowed=f"1 … {len(names)}"
        )
    settings = "\n".join(f"{key}={value}" for key, value in flatten({"model": config.model}))
    identity = Identity(
        case=case.name,
        settings=hashlib.sha256(settings.encode()).hexdigest(),
        checkpoint=file_digest(arguments.checkpoint),
        data=f"{data.table.data_set} {arguments.split}, {data.place}",
        images=hashlib.sha256("\n".join(names).encode()).hexdigest(),
        count=len(names),
        inference=inference.describe(),
        device=device,
        profile=arguments.profile,
        faults=tuple(arguments.fault),
        noise="",
        table=data.table,
    )
    order = EvaluationOrder(
        config=str(case.config),
        checkpoint=str(arguments.checkpoint.resolve()),
        device=device,
        profile=arguments.profile,
        faults=tuple(arguments.fault),
        options=tuple(arguments.cfg_options),
        split=arguments.split,
        data_root=arguments.data_root,
        inference=inference,
        images=tuple(range(arguments.limit)) if arguments.limit else None,
        keep_margins=arguments.as_reference,
        trusted=arguments.as_reference,
        export=str(arguments.export.resolve()) if arguments.export else "",
        export_ending=data.export_ending,
    )
    return order, identity, data


def image_note(row: ImageRow) -> str:
    """What an image took, for the bar."""
    return say(f"{row.seconds:.3g} s, {row.passes} passes")


def _show(done: Evaluation, data: EvaluationSet, folder: Path) -> None:
    if not done.has_labels:
        print(say("not scored: the images have no labels"))
        return
    from harness.evaluating.evaluation_folder import SCORES, TABLE
    from harness.store.decoding import encode_value
    from models.datasets.transforms.loading import read_image
    from reports.accuracy.score_data import SCORES_SCHEMA, score_data
    from reports.accuracy.score_page import Picture, score_page, worst_images
    from reports.accuracy.score_table import score_table

    command = reproduction()
    table = score_table(done.scores)
    by_name = {files.name: files for files in data.files}
    pictures = {}
    for name, _ in worst_images(done.counts, done.identity.table):
        image = read_image(by_name[name].image)
        labels = data.read_labels(by_name[name], (image.shape[0], image.shape[1]))
        pictures[name] = Picture(image, labels)
    write_text(folder / TABLE, table)
    write_text(folder / SCORES, encode_value(score_data(done, command), schema=SCORES_SCHEMA))
    write_text(folder / "report.html", score_page(done, pictures, command))
    print("\n".join(map(say, table.splitlines())))
    print(f"{say('report')}: {folder / 'report.html'}")
