"""A sum that a check by program makes, written down: the loss's total, and the average of the processes' gradients."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.shadow.judging.operations import Allowance
from harness.shadow.reproducing.program import Write, Written, compared

__all__ = ["write_average", "write_total"]

_BODY = """

def run(device, double):
    parts = stored["parts"].to(device, torch.float64 if double else torch.{dtype})
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return {result}


{again}made, now, due = stored["made"], {now}, run("cpu", True)
{done}"""

_ALL_REDUCE = '''
def reduce(device):
    """The all-reduce itself, each process with its own part."""
    rank = dist.get_rank()
    part = (stored["parts"][rank] if rank < len(stored["parts"]) else 0 * stored["made"]).to(device, torch.{dtype})
    dist.all_reduce(part)
    return {result}


if reducing := "RANK" in os.environ:
    dist.init_process_group(arguments.backend)
    device = device if device == "cpu" else f"{{device}}:{{os.environ['LOCAL_RANK']}}"
'''

_REDUCED = """\
if reducing:
    device = f"rank {dist.get_rank()}, {device}"
    dist.destroy_process_group()
"""

_BACKEND = """\
parser.add_argument("--backend", help="of the all-reduce, under torchrun; without it the device's own")
"""


def write_total(components: Sequence[float], total: float) -> Write:
    """How to write down the sum of a loss's components.

    Args:
        components: as they were logged.
        total: that was trained on.
    """

    def write(allowed: Allowance) -> Written:
        parts = torch.tensor(components, dtype=torch.float64)[:, None]
        inputs = {"parts": parts, "made": torch.tensor([total], dtype=torch.float64)}
        body = _BODY.format(dtype="float32", result="total.cpu()", again="", now="run(device, False)", done="")
        note = "It adds the logged components; where the device is right here, the step left some out or weighed them."
        return Written(inputs, body + compared(allowed), note)

    return write


def write_average(
    parts: Sequence[torch.Tensor], processes: int, before: torch.Tensor | None, made: torch.Tensor, dtype: torch.dtype
) -> Write:
    """How to write down the average of the gradients that the processes computed.

    Args:
        parts: of each process that has some, sampled, (n,) in float64.
        processes: how many the sum is divided by.
        before: what the average was added to, (n,); None where there was nothing.
        made: the gradient that came of it, (n,).
        dtype: of the gradient.
    """

    def write(allowed: Allowance) -> Written:
        inputs = {"parts": torch.stack(list(parts)), "made": made}
        result = f"(total / {processes}"
        if before is not None:
            inputs["before"] = before
            result += ' + stored["before"].to(device)'
        name = str(dtype).removeprefix("torch.")
        body = _BODY.format(dtype=name, result=f"{result}).cpu()", again="", now="run(device, False)", done="")
        if processes == 1:
            note = "It adds the gradients that the backward computed; what the run made of them is beside it."
            return Written(inputs, body + compared(allowed), note)
        again = _ALL_REDUCE.format(dtype=name, result=f"{result}).cpu()".replace("total", "part"))
        now = "reduce(device) if reducing else run(device, False)"
        body = _BODY.format(dtype=name, result=f"{result}).cpu()", again=again[1:] + "\n", now=now, done=_REDUCED)
        note = (
            f"It averages in one process; torchrun --nproc-per-node {processes} makes the all-reduce itself, "
            "by the device's own backend or the one of --backend."
        )
        imports = "import os\n\nimport torch.distributed as dist\n"
        return Written(inputs, f"{imports}{body}{compared(allowed)}", note, options=_BACKEND)

    return write
