"""`align shrink`: make a call that came out wrong smaller, while it does, on the device."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.console import shown
from harness.cli.options import seconds_argument
from harness.language import say
from harness.values.errors import UsageError
from harness.values.verdict import Status

if TYPE_CHECKING:
    from harness.shadow.reproducing.call_file import StoredCall

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "shrink",
        help="make a call that came out wrong smaller, while it does",
        description="Reads the reproduction of a call that came out wrong, makes its sizes, values, options and "
        "layouts smaller and plainer on the device while it still does, and writes the program that reproduces that.",
        epilog="The exit code is 0 where the smaller program is written, 3 where the call is right when it is called "
        "alone, 2 for an error. `align verify --shrink` does the same after a run.",
    )
    parser.add_argument(
        "finding", type=Path, metavar="FINDING", help="a reproduction: reproduce/1.py of a case in a report"
    )
    parser.add_argument(
        "--device", default="", metavar="NAME", help="where to call it (default: where it came out wrong)"
    )
    parser.add_argument(
        "--seconds", type=seconds_argument, default=60.0, metavar="S", help="that it may take (default: 60)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the smaller program (default: beside FINDING, as N.small.py)"
    )
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the call smaller, and say what is left of it."""
    inputs = arguments.finding.with_suffix(".safetensors")
    if arguments.finding.suffix not in {".py", ".safetensors"} or not inputs.is_file():
        raise UsageError(
            "there is no such reproduction",
            where="FINDING",
            observed=arguments.finding,
            allowed="the program of a finding, with its inputs beside it: alignment-report/CASE/reproduce/1.py",
            hint="align verify CASE",
        )
    out = arguments.out or inputs.with_name(f"{inputs.stem.removesuffix('.small')}.small.py")
    if out.suffix != ".py":
        raise UsageError("a program ends in .py", where="--out", observed=out, allowed=f"{out}.py")
    from harness.shadow.reproducing.call_file import read_call

    stored, _ = read_call(inputs)
    device = _opened(stored, arguments.device)

    import torch

    from harness.shadow.probing.follow_up import shrink_call

    torch.set_num_threads(1)
    smaller = shrink_call(inputs, out, device, arguments.seconds)
    if smaller is None:
        print(
            say("NOT REPRODUCED: the call is right when it is called alone; what went wrong lies in what was before it")
        )
        return Status.INCONCLUSIVE.exit_code
    print(say(f"{stored.op}, {stored.result}: {smaller.before} elements in, {smaller.call.elements} are left"))
    print(f"  {smaller.sizes_before} -> {smaller.call.sizes()}")
    took = f"{smaller.asked} calls in {smaller.seconds:.1f} s" + ("" if smaller.whole else "; the time was over")
    print(f"  {say(took)}")
    print(shown(say(f"program: {out}")))
    return Status.PASS.exit_code


def _opened(stored: StoredCall, asked: str) -> str:
    """What torch calls the device, opened like that of the run.

    Raises:
        DeviceError: it isn't here.
    """
    from harness.devices.choice import choose_device
    from harness.devices.device_opening import open_device
    from harness.devices.fault_registry import parse_fault

    name = asked or stored.device
    choice = choose_device(name)
    if not choice.emulated:
        return open_device(choice).kind
    return open_device(choice, stored.profile, [parse_fault(fault) for fault in stored.faults]).kind
