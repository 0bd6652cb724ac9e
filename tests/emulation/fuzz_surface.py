"""Calls every public name of the accelerator's modules and objects, with arguments that can be meant and that can't.

Run as a script, in a process that may die: `fuzz_surface.py FIRST`. One JSON object a line says what is about to be
called ({"index", "call"}) and what came of it ({"index", "call", "outcome"}).
"""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from harness.lab.emulation import install
from harness.values.errors import DeviceError

MEANT = (None, 0, 1, -1, "sdaa", "sdaa:1", torch.device)
# No device, and none of a card of four.
NO_DEVICE = (99, -7, 2**70, "cpu", "cuda:0", "sdaa:9", "nonsense", "", 1.5, [], b"sdaa", object, torch.zeros)
DEVICE_PARAMETERS = {"device", "device_index"}


MODULES = {
    "torch.sdaa": lambda: torch.sdaa,
    "torch.sdaa.amp": lambda: torch.sdaa.amp,
    "torch.accelerator": lambda: torch.accelerator,
    "torch.accelerator.memory": lambda: torch.accelerator.memory,
}
# Objects that the host has too, new for each call: where the host's answers, the device's does.
OBJECTS = {
    "storage": lambda device: torch.arange(4, device=device, dtype=torch.uint8).untyped_storage(),
    "typed storage": lambda device: torch.arange(4.0, device=device).storage(),
    "generator": lambda device: torch.Generator(device),  # noqa: PLW0108 - the one that is there when it is called
}


def calls() -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """(subject, name, arguments)."""
    arguments = [(), *((value,) for value in (*MEANT, *NO_DEVICE)), *((value, value) for value in (0, "sdaa:1", 1.5))]
    made = {name: make() for name, make in MODULES.items()} | {name: make("cpu") for name, make in OBJECTS.items()}
    for subject, owner in made.items():
        for name in sorted(n for n in dir(owner) if not n.startswith("_") and callable(getattr(owner, n))):
            for given in arguments:
                yield subject, name, given


def real(value: Any) -> Any:
    """What can't stand in a table before the device is there."""
    return {torch.device: lambda: torch.device("sdaa:3"), torch.zeros: lambda: torch.zeros(3), object: object}.get(
        value if callable(value) else None, lambda: value
    )()


def use(member: Any, given: tuple[Any, ...]) -> Any:
    """What a call answers; a context is entered and left."""
    answer = member(*map(real, given))
    if isinstance(answer, contextlib.AbstractContextManager) and not isinstance(answer, torch.amp.autocast):
        with answer:
            pass
    return answer


def attempt_module(subject: str, name: str, given: tuple[Any, ...]) -> str:
    member = getattr(MODULES[subject](), name)
    answer = use(member, given)
    if takes_device(member) and any(value is wrong for value in given[:1] for wrong in NO_DEVICE):
        return f"answered {answer!r:.80}, of no device"
    return "answered"


def attempt_object(subject: str, name: str, given: tuple[Any, ...]) -> str:
    try:
        use(getattr(OBJECTS[subject]("cpu"), name), given)
    except Exception:  # noqa: BLE001 - the host has no answer
        return "no answer on the host"
    use(getattr(OBJECTS[subject]("sdaa:1"), name), given)
    return "answered"


def takes_device(member: Callable[..., Any]) -> bool:
    try:
        first = next(iter(inspect.signature(member).parameters), None)
    except ValueError:
        return False
    return first in DEVICE_PARAMETERS


def outcome(subject: str, name: str, given: tuple[Any, ...]) -> str:
    """What came of the call, and whether the device is the same after it."""
    try:
        came = (attempt_module if subject in MODULES else attempt_object)(subject, name, given)
    except DeviceError:
        came = "typed error"
    except (TypeError, ValueError, OverflowError):  # PyTorch refuses an integer past its range by one or the other
        came = "refused by its signature"
    except Exception as error:  # noqa: BLE001 - that is what is counted
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:160]}"
    if not 0 <= torch.sdaa.current_device() == torch.accelerator.current_device_index() < 4:
        return "a current device that isn't there"
    torch.sdaa.set_device(0)
    x = torch.arange(3.0, device="sdaa", requires_grad=True)
    (x * x).sum().backward()
    return came if x.grad.tolist() == [0, 2, 4] and torch.sdaa.device_count() == 4 else "a device that doesn't work"


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    install("exact")
    for index, (subject, name, given) in enumerate(calls()):
        if index < int(sys.argv[1]):
            continue
        record = {"index": index, "call": f"{subject}.{name}({', '.join(map(repr, given))})"}
        print(json.dumps(record), flush=True)
        print(json.dumps({**record, "outcome": outcome(subject, name, given)}), flush=True)


if __name__ == "__main__":
    main()
