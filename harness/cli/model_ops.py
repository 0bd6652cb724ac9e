"""`align ops --model`: shadowed training steps of a model that is no case, in this process."""

from __future__ import annotations

import argparse
import ast
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from harness.cli.options import count_argument, reproduction, whole_argument
from harness.cli.progress import run_progress
from harness.store.temporary import owned_folder
from harness.values.errors import UsageError

if TYPE_CHECKING:
    from harness.shadow.evidence.checks import ShadowRecord
    from harness.values.result import Result

__all__ = ["add_model_options", "shadow_model"]


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Options that say which model is trained, and how."""
    group = parser.add_argument_group("a model that is no case, with drawn weights and inputs; nothing is downloaded")
    group.add_argument(
        "--model",
        default="",
        metavar="MODEL",
        help="timm:NAME, torchvision:NAME, transformers:CLASS (of a config, or of a model), or MODULE:FUNCTION, a "
        "function that returns (model, inputs) or (model, inputs, loss)",
    )
    group.add_argument(
        "--model-options",
        nargs="+",
        default=[],
        action="extend",
        metavar="KEY=VALUE",
        help="given to the library's constructor, or to the function",
    )
    group.add_argument("--batch", type=count_argument, default=2, metavar="N", help="samples in a batch")
    group.add_argument(
        "--size", type=whole_argument, default=0, metavar="N", help="height and width of images, or tokens"
    )
    group.add_argument("--seed", type=whole_argument, default=0, metavar="N", help="of weights and inputs (default: 0)")
    group.add_argument("--optimizer", default="SGD", metavar="NAME", help="a class of torch.optim")
    group.add_argument(
        "--optimizer-options",
        nargs="+",
        default=[],
        action="extend",
        metavar="KEY=VALUE",
        help="arguments of the optimizer, for example lr=0.01 fused=True (default: lr=0.001)",
    )
    group.add_argument("--autocast", choices=("fp16", "bf16"), default="", help="train in mixed precision")


def shadow_model(
    device: str, arguments: argparse.Namespace
) -> tuple[Result, ShadowRecord | None, ShadowRecord | None, str]:
    """The verdict of shadow ops alone on a model's steps, every check, those with hard inputs, and the tier.

    Without ``--forced`` there are none with hard inputs.
    """
    from harness.devices.choice import choose_device
    from harness.devices.device_opening import open_device
    from harness.devices.fault_registry import parse_fault
    from harness.running.folder import FORCED
    from harness.shadow.files.check_stream import ShadowStream, read_shadow
    from harness.shadow.judging.diagnosis.causes import diagnose
    from harness.shadow.judging.operations import weigh_shadow
    from harness.shadow.judging.shadow_verdict import judge_alone, with_hard_inputs
    from harness.values.result import Result

    _require(arguments)
    started = time.monotonic()
    choice = choose_device(device)
    faults = tuple(parse_fault(text) for text in arguments.fault)
    opened = open_device(choice, arguments.profile, faults)  # before anything of torch has run

    from harness.shadow.forced.forcing import ForcedCalls
    from harness.shadow.model_sources import Request, build_model
    from harness.shadow.model_steps import Training, shadow_steps
    from harness.store.stream import StreamRow

    tier = arguments.tier or "tf32"
    options = read_options(arguments.model_options, "--model-options")
    model = build_model(Request(arguments.model, options, arguments.batch, arguments.size, arguments.seed))
    training = Training(
        arguments.optimizer,
        read_options(arguments.optimizer_options, "--optimizer-options"),
        arguments.autocast,
        arguments.iterations or 1,
        tier,
    )
    with owned_folder("align-model-") as folder, run_progress(arguments.model, training.steps) as advance:
        file = folder / FORCED
        with ShadowStream(file, tier) if arguments.forced else nullcontext() as stream:
            record, trace = shadow_steps(
                model,
                opened.kind,
                training,
                on_step=lambda step, loss: advance(StreamRow(step, {"loss": loss}, "")),
                on_check=advance.checked,
                forced=ForcedCalls(stream, tier) if stream is not None else None,
            )
        forced = read_shadow([file]) if arguments.forced else None
    verdict = judge_alone(arguments.model, trace, diagnose(record, tier))
    if forced is not None:
        verdict = with_hard_inputs(verdict, weigh_shadow(forced, tier))
    seconds = time.monotonic() - started
    result = Result(verdict, trace, command=reproduction(), seconds=seconds, asked_device=device)
    return result, record, forced, tier


def read_options(words: Sequence[str], where: str) -> dict[str, Any]:
    """``key=value`` words as names and Python's literals; what is none is text.

    Args:
        words: as the command line has them.
        where: the option, for the error.

    Raises:
        UsageError: a word isn't ``key=value``.
    """
    options: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError("an option is a name and its value", where=where, observed=word, allowed="KEY=VALUE")
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[key] = value
    return options


def _require(arguments: argparse.Namespace) -> None:
    """Options of a case have no meaning for a model."""
    for name in ("cfg_options", "amp", "work_dir"):
        if getattr(arguments, name, None):
            option = f"--{name.replace('_', '-')}"
            instead = "--autocast fp16" if name == "amp" else "--model-options" if name == "cfg_options" else None
            raise UsageError(
                "this option is a case's", where=option, observed=f"--model {arguments.model}", hint=instead
            )
    for name in ("batch", "size", "seed"):
        least = 1 if name == "batch" else 0
        if getattr(arguments, name) < least:
            raise UsageError(
                "there is no such number",
                where=f"--{name}",
                observed=getattr(arguments, name),
                allowed=f"{least} or more",
            )
