"""`align cases`, `align doctor`: what there is."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import Any

from rich.table import Table

from harness.baseline_folders.baseline_places import places_to_read
from harness.cli.terminal import open_console, plain_table
from harness.language import say
from harness.running.libraries import MODELS_EXTRA
from harness.values.errors import AlignmentError

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the two commands to the parser."""
    cases = commands.add_parser("cases", help="list the cases", description="Lists the cases and their baselines.")
    cases.add_argument("--names", action="store_true", help="only the names, one per line")
    cases.add_argument("--small", action="store_true", help="only those that commands without a case run")
    cases.set_defaults(func=_cases)
    doctor = commands.add_parser(
        "doctor", help="what devices, versions and settings are here", description="Looks at this machine."
    )
    doctor.set_defaults(func=_doctor)


def _cases(arguments: argparse.Namespace) -> int:
    from harness.running.cases import list_cases, small_cases
    from harness.store.baselines import list_references

    cases = small_cases() if arguments.small else list_cases()
    if arguments.names:
        print("\n".join(case.name for case in cases))
        return 0
    table = plain_table("case", "iterations", "tier", "baselines", "what it is")
    for case in cases:
        names = {name for place in places_to_read() for name in list_references(place.path, case.name)}
        references = ", ".join(sorted(names)) or "—"
        table.add_row(case.name, str(case.iterations), case.tier, references, say(case.summary))
    open_console().print(table)
    return 0


def _doctor(_: argparse.Namespace) -> int:
    from harness.devices.surroundings import host, numerics_environment, versions

    console = open_console()
    table = plain_table("what", "here")
    if find_spec("torch") is None:
        table.add_row("torch", say(f"not installed; logs can be compared; to run cases: {MODELS_EXTRA}"))
        threads = 1
    else:
        import torch

        console.print(_devices())
        console.print()
        table.add_row(say("verify without --device"), say(_default()))
        table.add_row("cpu capability", torch.backends.cpu.get_cpu_capability())
        threads = torch.get_num_threads()
    for source in (versions(), host(threads), numerics_environment()):
        for name, value in source.items():
            table.add_row(name, value)
    table.add_row(say("baselines"), ", ".join(str(place.path) for place in places_to_read()))
    console.print(table)
    return 0


def _devices() -> Table:
    """Every type of device that is known: whether it is here, and whether this project was ever run on one."""
    from harness.devices.device_registry import device_names, find_device_type

    table = plain_table("device", "here", "made by", "run on real hardware")
    for name in device_names():
        try:
            device = find_device_type(name)
            why = device.absence()
        except AlignmentError as error:
            table.add_row(name, say(f"no: {error.what}: {error.observed}"), "", "")
            continue
        tried = device.tried or "never: written from public documentation"
        table.add_row(name, say(f"no: {why}" if why else "yes"), say(device.maker), say(tried))
    return table


def _default() -> str:
    """What is run where nobody says on which device."""
    from harness.devices.choice import choose_device

    try:
        choice = choose_device(None)
    except AlignmentError as error:
        return f"{error.what}: {error.observed}"
    return f"{choice}, since there is no accelerator" if choice.fallback else str(choice)
