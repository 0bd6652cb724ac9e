"""A process that has the emulated device, and runs test functions that it is told of on standard input.

One JSON object a line: in, {"path", "function", "arguments"}; out, {"failure": traceback or null}.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import traceback
import warnings
from functools import cache
from types import ModuleType

import torch

from harness.lab.emulation import install
from harness.recording.clock import set_iteration


@cache
def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"on_device_{abs(hash(path))}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(path: str, function: str, arguments: dict[str, object]) -> str | None:
    install("exact")
    set_iteration(0)
    torch.sdaa.set_device(0)
    torch.manual_seed(0)
    try:
        getattr(load(path), function)(**arguments)
    except BaseException:  # noqa: BLE001 - the failure is the answer
        return traceback.format_exc()
    return None


def main() -> None:
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    install("exact")
    answers = sys.stdout
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            failure = run(**json.loads(line))
        print(json.dumps({"failure": failure}), file=answers, flush=True)


if __name__ == "__main__":
    main()
