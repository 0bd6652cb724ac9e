"""`align train`: a training as the field's scripts do it, on any device that the harness knows, recorded."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.cli.options import (
    add_compile_option,
    add_device_options,
    add_launch_options,
    add_options,
    add_timeout_options,
    count_argument,
    reproduction,
    timeouts_of,
)
from harness.cli.progress import run_progress
from harness.cli.terminal import announce
from harness.language import say
from harness.running.folder import VALIDATIONS
from harness.values.errors import UsageError

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a config as the field's scripts do, recorded",
        description="Trains a config with mmengine's Runner on any device that the harness knows, for as long as the "
        "config says; logs, checkpoints and the loss trace go to the work folder.",
    )
    parser.add_argument("--config", required=True, metavar="CONFIG", help="a case's name, or the path of a config")
    add_device_options(parser)
    add_options(parser)
    add_compile_option(parser)
    add_launch_options(parser)
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        default="",
        metavar="CHECKPOINT",
        help="go on from a checkpoint, the latest of the work folder without a name; its trace goes on too",
    )
    parser.add_argument(
        "--val-interval",
        type=count_argument,
        default=0,
        metavar="N",
        help="validate every N iterations and after the last one, on the validation split of the data set that is "
        "trained on, and keep the checkpoint of the best mIoU (default: as the config says)",
    )
    add_timeout_options(parser)
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Train."""
    from harness.devices.choice import choose_device
    from harness.running.cases import load_case
    from harness.running.folder import STREAM
    from harness.running.order import Order
    from harness.running.watchdog import execute

    choice = choose_device(arguments.device)
    announce(choice)
    case, config = load_case(arguments.config, arguments.cfg_options)
    if case.function:
        raise UsageError(
            "a loop of your own trains and validates by itself",
            where="--config",
            observed=case.address,
            allowed="the config of a training by mmengine's Runner",
            hint=f"align record {case.address} records it, and align verify judges it",
        )
    folder = arguments.work_dir or Path("work_dirs") / case.name
    order = Order(
        config=str(case.config),
        device=str(choice),
        profile=arguments.profile,
        faults=tuple(arguments.fault),
        options=tuple(arguments.cfg_options),
        iterations=arguments.iterations,
        amp=arguments.amp,
        compile=arguments.compile,
        launcher=arguments.launcher,
        processes=arguments.nproc_per_node,
        nodes=arguments.nnodes,
        node=arguments.node_rank,
        meeting=arguments.rdzv_endpoint,
        training=True,
        resume=arguments.resume,
        val_interval=arguments.val_interval,
        command=reproduction(),
    )
    planned = arguments.iterations or (
        case.iterations if config is None else (config.get("train_cfg") or {}).get("max_iters")
    )
    with run_progress(case.name, planned or 0) as advance:
        trained = execute(
            order,
            folder,
            timeouts=timeouts_of(arguments),
            on_iteration=advance,
        )
    if trained.error is not None:
        print(trained.output)
        raise trained.error
    _show_validations(folder)
    print(say(f"trained {len(trained.trace or ())} iterations in {trained.seconds:.0f} s; trace: {folder / STREAM}"))
    return 0


def _show_validations(folder: Path) -> None:
    """Each validation in a line, and where the best checkpoint is."""
    path = folder / VALIDATIONS
    if not path.exists():
        return
    from harness.running.validation import read_validations

    validations = read_validations(folder)
    for one in validations:
        scores = f"mIoU {one.mean_iou:.2f}, mAcc {one.mean_accuracy:.2f}, aAcc {one.pixel_accuracy:.2f}"
        print(say(f"iteration {one.iteration}: {scores}, {one.images} images in {one.seconds:.0f} s"))
    for checkpoint in sorted(folder.glob("best_*.pth")):
        print(say(f"best: {checkpoint}"))
