"""The child process of a run: opens the device, builds the experiment, trains."""

from __future__ import annotations

import atexit
import gc
import os
import platform
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from harness.devices.choice import choose_device
from harness.running.folder import ERROR, ORDER, OUTPUT, RANK_OUTPUTS
from harness.running.libraries import missing_library
from harness.running.lifeline import die_with_parent, watched
from harness.running.order import Order
from harness.running.told import Told
from harness.store.atomic import write_text
from harness.store.decoding import encode_value
from harness.values.errors import AlignmentError, RunError

__all__ = ["end_at_once", "launch", "main"]


def main(arguments: Sequence[str]) -> int:
    """Run the order that lies in a folder.

    Args:
        arguments: the folder.

    Returns:
        0, or 2 where the run can't be made for a reason that ``error.json`` then tells.
    """
    folder = Path(arguments[0])
    die_with_parent()
    try:
        order = Order.read(folder / ORDER)
        _explained(order, folder)
    except AlignmentError as error:
        write_text(folder / ERROR, encode_value(Told.of(error), schema=Told.SCHEMA))
        print(error, file=sys.stderr)
        return 2
    if order.launcher != "none":
        end_at_once()
    return 0


def end_at_once() -> None:
    """End a process of several, whose part is written, without tearing down its interpreter.

    Behind the last iteration a rank sometimes died of "terminate called without an active exception", and a training
    that went well looked as if it had crashed: a thread of the process group that still holds a tensor lets go of it
    when Python is gone (https://github.com/pytorch/pytorch/pull/179291). ``destroy_process_group`` doesn't end that
    thread as long as DistributedDataParallel holds the group. What was registered to run at the end runs, and other
    threads are waited for, as ever.
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def launch(arguments: Sequence[str]) -> int:
    """Start several workers by torch's own launcher, which ends with the process that watches it.

    Args:
        arguments: the folder of the run, then the words of ``torchrun``.

    Returns:
        0, or 1 where a worker ended by an error: ``error.json`` says which, with the end of what it printed.
    """
    die_with_parent()
    # The launcher runs in this process, and its workers are to end with it: they watch this one.
    os.environ.update(watched())
    gc.disable()
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    _collect_what_comes()
    folder = Path(arguments[0])
    try:
        torchrun(list(arguments[1:]))
    except ChildFailedError as failed:
        rank, failure = failed.get_first_failure()
        if not (folder / ERROR).exists():  # else a worker knows itself why
            how = f"signal {failure.signal_name()}" if failure.exitcode < 0 else f"exit code {failure.exitcode}"
            printed = _tail_of(folder / RANK_OUTPUTS, failure.local_rank)
            error = RunError(
                f"rank {rank} of the run crashed",
                where=platform.node(),
                observed=f"{how}\n{printed}" if printed else how,
                hint=f"read {folder / OUTPUT}",
            )
            write_text(folder / ERROR, encode_value(Told.of(error), schema=Told.SCHEMA))
        return 1
    return 0


def _tail_of(folder: Path, local_rank: int, lines: int = 20) -> str:
    """The end of what a worker wrote to standard error."""
    files = sorted(folder.glob(f"*/attempt_*/{local_rank}/stderr.log"))
    text = files[-1].read_text(encoding="utf-8", errors="replace") if files else ""
    return "\n".join(text.splitlines()[-lines:])


def _explained(order: Order, folder: Path) -> None:
    try:
        _run(order, folder)
    except ImportError as failure:
        raise missing_library(failure) or failure from None


def _run(order: Order, folder: Path) -> None:
    """The device is opened before anything of torch has run: the emulated one can't be afterwards."""
    gc.disable()  # until all is imported: see _collect_what_comes
    from harness.devices.device_opening import open_device
    from harness.devices.fault_registry import parse_fault

    faults = tuple(parse_fault(text) for text in order.faults)
    device = open_device(choose_device(order.device), order.profile, faults, trusted=order.trusted)

    from harness.running.cases import load_case

    case, config = load_case(order.config, order.options, import_modules=True)
    if config is None:
        from harness.running.own_experiment import run_own_case

        _collect_what_comes()
        run_own_case(order, case, device, faults, folder)
        return
    from harness.running.experiment import run_experiment

    _collect_what_comes()
    run_experiment(order, case, config, device, faults, folder)


def _collect_what_comes() -> None:
    """Leave what was imported to the end of the process, and look for garbage in what a training makes alone.

    Torch, mmengine and what they import are half a million objects, of which hardly one is garbage. To look through
    them as they come, and again at the end, takes a quarter of a small run's processor time.
    """
    gc.freeze()
    gc.enable()
