"""Real faults of real backends as candidates: is each found, where, and by what; beside it the same without it.

    python benchmarks/foreign_bugs.py [BUG …] [--work-dir bugs]

Each fault stands in a training of its own, with one operation between two convolutions, that is verified without a
baseline. Faults of torch_xla 2.9.0, where that is installed: on XLA, and beside it on the CPU. Faults of Inductor, by
the releases of PyTorch that have them: compiled for the CPU, and beside it by ``aot_eager``. Faults of PyTorch's own
kernels for the CPU: with what chooses the kernel, and beside it without. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.running.isolation import isolated_python

HERE = Path(__file__).parent / "foreign_bugs"


@dataclass(frozen=True)
class Bug:
    """A fault of theirs.

    Args:
        what: it does.
        source: where it was told publicly; empty where it was found here.
        operation: of ``one_operation.OPERATIONS``.
        names: the operation that has to be named.
        options: of the config.
        torch: of a fault of PyTorch's, the releases that have it that were tried; empty for one of XLA's.
        chosen: options that choose the CPU's faulty kernel; empty where Inductor has the fault.
    """

    what: str
    source: str
    operation: str
    names: tuple[str, ...]
    options: tuple[str, ...] = ()
    torch: str = ""
    chosen: tuple[str, ...] = ()


BUGS = {
    "batch-norm-variance": Bug(
        "batch norm keeps the biased variance",
        "same fault: ml-explore/mlx#3817, tenstorrent/tt-metal#55438",
        "relu",
        ("native_batch_norm",),
        ("model.norm=True",),
    ),
    "bilinear-1.3": Bug(
        "bilinear upsampling by 1.3 leaves the factor out where the size is rounded",
        "pytorch/xla#8897",
        "bilinear-1.3",
        ("upsample_bilinear2d",),
    ),
    "bilinear-5-to-9": Bug(
        "bilinear upsampling from n to 2n − 1 takes the corners for aligned",
        "",
        "bilinear-5-to-9",
        ("upsample_bilinear2d",),
    ),
    "elu": Bug("the gradient of ELU takes its input for its result", "", "elu", ("elu_backward",)),
    "celu": Bug("the same of CELU", "", "celu", ("elu_backward", "celu")),
    "selu": Bug("the gradient of SELU likewise", "", "selu", ("elu_backward", "selu")),
    "largest-norm": Bug(
        "the norm of order ∞ is 1", "same fault: pytorch/pytorch#6817", "largest-norm", ("norm", "linalg_vector_norm")
    ),
    "inductor-pooling": Bug(
        "the gradient of average pooling divides a window that hangs over by its full size",
        "pytorch/pytorch#198119",
        "pooling-that-overhangs",
        ("backward",),
        torch="2.9.0, 2.13.0",
    ),
    "inductor-rows": Bug(
        "the gradient of a table whose first rows are replaced, and which is summed, is zero",
        "pytorch/pytorch#180164",
        "rows-replaced",
        ("backward",),
        torch="2.9.0",
    ),
    "inductor-diagonal": Bug(
        "the same of a table whose diagonal is replaced",
        "pytorch/pytorch#182012",
        "diagonal-replaced",
        ("backward",),
        torch="2.9.0",
    ),
    "fused-sgd": Bug(
        "SGD with `fused=True` leaves bfloat16 weights as they are, but for the last few of each tensor",
        "pytorch/pytorch#191763",
        "relu",
        ("SGD", "_fused_sgd_"),
        ("model.dtype=bfloat16",),
        torch="2.13.0",
        chosen=("optim_wrapper.optimizer.fused=True",),
    ),
}
"""Name → fault. Inductor's are found in a compiled graph as a whole, and rightly named where that is the backward's."""


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bugs", nargs="*", help=", ".join(BUGS))
    parser.add_argument("--work-dir", type=Path, default=Path("foreign-bugs"))
    arguments = parser.parse_args()
    torch = metadata.version("torch").partition("+")[0]
    has_xla = find_spec("torch_xla") is not None
    print(f"torch {torch}{', torch_xla ' + metadata.version('torch_xla') if has_xla else ''}\n")
    print("| fault | told | with it | first finding | named rightly | without it |\n|---|---|---|---|---|---|")
    here = [name for name, bug in BUGS.items() if (torch in bug.torch.split(", ") if bug.torch else has_xla)]
    for name in arguments.bugs or here:
        bug = BUGS[name]
        faulty, healthy = (run(bug, name, way, arguments.work_dir) for way in ways(bug))
        found = {row["op"] for row in faulty.get("shadow", ()) if is_violated(row)}
        named = {word for op in found for word in (op, op.rpartition(" ")[2])} & set(bug.names)
        rightly = "yes" if named else f"no: {', '.join(sorted(found)) or 'nothing'}"
        first = faulty["reason"].split(";")[0]
        told = bug.source or "found here"
        print(f"| {bug.what} | {told} | {faulty['verdict']} | {first} | {rightly} | {healthy['verdict']} |", flush=True)


def is_violated(row: dict[str, Any]) -> bool:
    """Whether a row of ``result.json`` is beyond what a healthy kernel may have."""
    error, allowed = float(row["error"]), float(row["allowed"])
    return error > allowed or abs(float(row["projection"])) > float(row["allowed_projection"])


@dataclass(frozen=True)
class Way:
    """How a training is taken.

    Args:
        name: of its folder.
        words: of ``align verify``.
        options: of the config.
    """

    name: str
    words: tuple[str, ...]
    options: tuple[str, ...] = ()


def ways(bug: Bug) -> tuple[Way, Way]:
    """How a fault is met, and how its training is taken without it."""
    cpu = ("--device", "cpu")
    if bug.chosen:
        return Way("chosen", cpu, bug.chosen), Way("as it is", cpu)
    if bug.torch:
        return Way("inductor", (*cpu, "--compile", "inductor")), Way("aot_eager", (*cpu, "--compile", "aot_eager"))
    return Way("xla-eager", ("--device", "xla-eager")), Way("cpu", cpu)


def run(bug: Bug, name: str, way: Way, folder: Path) -> dict[str, Any]:
    """The result of a run, as its file has it."""
    out = folder.resolve() / name / way.name
    out.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH", ""))))
    environment = {"OMP_NUM_THREADS": "1", "PJRT_DEVICE": "CPU", **os.environ, "PYTHONPATH": path}
    options = [f"model.operation={bug.operation}", *bug.options, *way.options]
    words = ["verify", HERE / "one_operation_case.py", *way.words, "--no-baseline", "--iterations", 2]
    words += ["--shadow", "0,1", "--out", out, "--stall-timeout", 3600, "--cfg-options", *options]
    command = isolated_python("harness.cli:main", *map(str, words))
    done = subprocess.run(command, env=environment, cwd=out, capture_output=True, text=True, check=False)  # noqa: S603
    file = out / "one_operation_case" / "result.json"
    if not file.exists():
        return {"verdict": "ERROR", "reason": (done.stderr or done.stdout)[-200:].replace("\n", " ")}
    result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return result


if __name__ == "__main__":
    main()
