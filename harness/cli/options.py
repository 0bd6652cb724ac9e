"""Options that several commands share; they mean what they mean in the field's training scripts."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.devices.choice import DeviceChoice, choose_device
from harness.language import LANGUAGES
from harness.rules.budget import FALSE_ALARM_RATE
from harness.store.temporary import owned_folder

if TYPE_CHECKING:
    from harness.running.follow_up_process import FollowUp
    from harness.running.watchdog import Timeouts

__all__ = [
    "add_compile_option",
    "add_device_options",
    "add_follow_up_options",
    "add_forced_option",
    "add_jobs_option",
    "add_judging_options",
    "add_language_option",
    "add_launch_options",
    "add_options",
    "add_shadow_options",
    "add_timeout_options",
    "chosen_device",
    "count_argument",
    "follow_up_of",
    "jobs_argument",
    "reproduction",
    "run_folder",
    "seconds_argument",
    "size_argument",
    "timeouts_of",
    "whole_argument",
    "without_password",
]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that change what is run."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        action="extend",
        metavar="KEY=VALUE",
        help="lay values over the config, for example optim_wrapper.optimizer.lr=0.01",
    )
    parser.add_argument(
        "--iterations",
        type=count_argument,
        default=0,
        metavar="N",
        help="how many iterations (default: as the case says)",
    )
    parser.add_argument("--amp", action="store_true", help="automatic mixed precision")
    parser.add_argument(
        "--work-dir", type=Path, metavar="DIR", help="keep the runs' files here (default: they are removed)"
    )


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Options that say where it is run."""
    parser.add_argument(
        "--device",
        metavar="NAME[:INDEX]",
        help="cpu, cuda, sdaa, xla, npu, … or a card of it such as cuda:1; `align doctor` lists them. The default is "
        "the accelerator that is here; without one the emulated device, or the cpu where torch is older than 2.13",
    )
    parser.add_argument(
        "--profile", default="", metavar="NAME", help="numerics of the emulated device: fp32 (its default), tf32, …"
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME",
        help="put a fault in, to see whether it is found; `align faults` lists them",
    )


def chosen_device(arguments: argparse.Namespace) -> DeviceChoice:
    """The device that was asked for, or is here; with its profile and faults, refused before anything runs.

    Raises:
        DeviceError: there is no such device, profile or fault.
    """
    from harness.devices.fault_registry import parse_fault

    choice = choose_device(arguments.device)
    if arguments.profile:
        choice.type.require_profile(arguments.profile)
    for fault in arguments.fault:
        parse_fault(fault)
    return choice


def add_launch_options(parser: argparse.ArgumentParser) -> None:
    """Options that say in how many processes it is run."""
    parser.add_argument("--launcher", choices=("none", "pytorch"), default="none", help="how processes are started")
    parser.add_argument(
        "--nproc-per-node", type=count_argument, default=1, metavar="N", help="processes, with a launcher"
    )
    parser.add_argument(
        "--nnodes",
        type=count_argument,
        default=1,
        metavar="N",
        help="machines that run processes, with a launcher: the same command on each, with its own --node-rank; the "
        "first records and judges",
    )
    parser.add_argument(
        "--node-rank", type=whole_argument, default=0, metavar="R", help="which of the machines this is, from 0"
    )
    parser.add_argument(
        "--rdzv-endpoint",
        default="",
        metavar="HOST:PORT",
        help="where several machines meet: the first one's name and a free port of it",
    )


def add_jobs_option(parser: argparse.ArgumentParser, what: str, *, by_memory: bool = True) -> None:
    """The option of what runs side by side, as many as a card's memory holds where the command knows what they take."""
    a_card = "as many a card as its memory holds by what each took before, else one" if by_memory else "one a card"
    parser.add_argument(
        "--jobs",
        type=jobs_argument,
        default=1,
        metavar="N|auto",
        help=f"how many {what} run side by side, each on cards of its own where there are several; auto: {a_card}, "
        "on the processor and the emulated device as many as cores and memory allow (default: 1)",
    )


def add_language_option(parser: argparse.ArgumentParser) -> None:
    """The option of the language that everything is told in."""
    parser.add_argument(
        "--lang",
        choices=LANGUAGES,
        default=argparse.SUPPRESS,  # so that a command doesn't forget what stood before it
        help="language of all that is shown: English or Chinese (default: $ALIGN_LANG, else as the locale says)",
    )


def add_judging_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how it is judged, and in which language that is told."""
    add_language_option(parser)
    parser.add_argument("--tier", default="", help="the precision tier to demand (default: as the case says)")
    parser.add_argument(
        "--false-alarm-rate",
        type=float,
        default=FALSE_ALARM_RATE,
        metavar="P",
        help="chance that any of the cases fails a healthy port, divided over them",
    )
    parser.add_argument(
        "--gate-size",
        type=count_argument,
        default=0,
        metavar="N",
        help="how many cases the whole gate has, where this command judges a part of it, as one job of a CI matrix: "
        "the false-alarm rate is divided over N (default: as many as the command judges)",
    )
    parser.add_argument(
        "--no-early-stop",
        action="store_true",
        help="run to the end, also where the verdict can't change any more",
    )
    parser.add_argument(
        "--same",
        type=setting_argument,
        action="append",
        default=[],
        metavar="SETTING",
        help="a setting that may differ from the baseline's, with what is beneath it, by the name that the report has "
        "for it; every output says so; may be given several times",
    )


def setting_argument(text: str) -> str:
    """The name of a setting that may differ: what was trained, and on what, may not."""
    from harness.rules.comparability import NO_SETTINGS  # here, as it imports NumPy

    if text in NO_SETTINGS:
        raise argparse.ArgumentTypeError(f"{text} is no setting: runs that differ in it can't be compared")
    return text


def add_shadow_options(parser: argparse.ArgumentParser) -> None:
    """Options of shadow ops: each operation of a few steps computed again in float64 on the host."""
    parser.add_argument(
        "--shadow",
        default="auto",
        metavar="ITERATIONS",
        help="which iterations: numbers with commas between them, auto (the first two, one a third of the way and the "
        "last; the default) or none; a shadowed step costs about six plain ones on the CPU",
    )
    parser.add_argument(
        "--shadow-ops",
        nargs="+",
        default=[],
        metavar="OP",
        help="these operations only, for example convolution mm (default: all)",
    )
    parser.add_argument(
        "--shadow-budget",
        type=size_argument,
        default=8 * 2**30,
        metavar="SIZE",
        help="host memory that one operation may take, for example 8GiB; one that needs more is checked on slices, of "
        "a step that needs a hundred times as much a sample of calls; what isn't checked is listed (default: 8GiB)",
    )


def add_follow_up_options(parser: argparse.ArgumentParser) -> None:
    """Options of what is done with calls that came out wrong."""
    parser.add_argument(
        "--diagnose",
        type=_seconds_or_none,
        default=60.0,
        metavar="S",
        help="where calls came out wrong, ask the device for at most S seconds what it makes of calls like them, one "
        "thing changed at a time, so that what sets them apart can be named; 0 asks nothing (default: 60)",
    )
    parser.add_argument(
        "--shrink",
        type=_seconds_or_none,
        nargs="?",
        const=60.0,
        default=0.0,
        metavar="S",
        help="where calls came out wrong, make them smaller for S seconds while they do; the programs that reproduce "
        "them are of those (60 seconds without a number)",
    )


def follow_up_of(arguments: argparse.Namespace) -> FollowUp:
    """How long a run is followed up."""
    from harness.running.follow_up_process import FollowUp

    return FollowUp(arguments.diagnose, arguments.shrink)


def add_forced_option(parser: argparse.ArgumentParser) -> None:
    """The option of hard inputs."""
    parser.add_argument(
        "--forced",
        action="store_true",
        help="make each operation of the first shadowed step again with hard inputs (large, denormal, tied, infinite, "
        "NaN, strided, channels last, odd-sized, empty); where the device is off beyond what healthy kernels differ in "
        "is a FAIL",
    )


def add_compile_option(parser: argparse.ArgumentParser) -> None:
    """The option of a compiled candidate."""
    parser.add_argument(
        "--compile",
        nargs="?",
        const="inductor",
        default="",
        metavar="BACKEND",
        help="compile the model's forward with torch.compile, by inductor without a name; `none` compiles nothing. "
        "The default is what the config says. It is the same experiment; by backends other than inductor and aot_eager "
        "a shadowed iteration runs eager code",
    )


def add_timeout_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how long a run may take."""
    parser.add_argument(
        "--stall-timeout",
        type=seconds_argument,
        default=300.0,
        metavar="S",
        help="killed after S seconds without an iteration, or a checked operation of a shadowed one",
    )
    parser.add_argument(
        "--timeout", type=seconds_argument, default=86_400.0, metavar="S", help="a run is killed after S seconds in all"
    )


def timeouts_of(arguments: argparse.Namespace) -> Timeouts:
    """How long a run may take; its start, where kernels are compiled, at least ten minutes."""
    from harness.running.watchdog import Timeouts

    stall = arguments.stall_timeout
    return Timeouts(start=max(600.0, stall), stall=stall, limit=arguments.timeout)


@contextlib.contextmanager
def run_folder(work_dir: Path | None, name: str) -> Iterator[Path]:
    """Where a run leaves its files: a new folder under ``--work-dir``, or one that is deleted afterwards."""
    if work_dir is None:
        with owned_folder("align-run-") as temporary:
            yield temporary / name
        return
    work_dir.mkdir(parents=True, exist_ok=True)
    numbered = (work_dir / (f"{name}-{number}" if number else name) for number in itertools.count())
    yield next(folder for folder in numbered if _made(folder))


def _made(folder: Path) -> bool:
    """Whether this call made the folder: of two at once, one."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def reproduction(arguments: list[str] | None = None) -> str:
    """The command line that does the same again; of a database's URL without its password."""
    words = sys.argv[1:] if arguments is None else arguments
    return shlex.join(["align", *map(without_password, words)])


def without_password(text: str) -> str:
    """A text as it may be shown and stored: of a database's URL without the password."""
    return re.sub(r"(?<=://)([^/@:\s]*):[^@\s]*@", r"\1:***@", text)


def count_argument(text: str) -> int:
    """A whole number of at least 1, for ``argparse``."""
    return _whole(text, least=1)


def jobs_argument(text: str) -> int:
    """A number of jobs, or ``auto``, which is 0; for ``argparse``."""
    return 0 if text == "auto" else _whole(text, least=1)


def whole_argument(text: str) -> int:
    """A whole number of at least 0, for ``argparse``."""
    return _whole(text, least=0)


def _whole(text: str, least: int) -> int:
    """Digits 0 … 9 alone: ``int`` also takes signs, underscores and other scripts' digits, and has no end."""
    if not re.fullmatch("[0-9]{1,15}", text) or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number of at least {least}")
    return int(text)


def seconds_argument(text: str) -> float:
    """A time to wait, for ``argparse``."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no time to wait: seconds, more than 0 and not without end")
    return value


def _seconds_or_none(text: str) -> float:
    return 0.0 if text.strip() in {"0", "0.0"} else seconds_argument(text)


def size_argument(text: str) -> int:
    """Bytes, with the units that memory is counted in."""
    units = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", text.strip())
    if found is None or found[2] not in units:
        raise argparse.ArgumentTypeError(f"{text!r} is no size, for example 8GiB")
    size = float(found[1]) * units[found[2]]
    if size >= 2**63:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is more memory than can be addressed")
    return int(size)
