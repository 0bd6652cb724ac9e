"""Each process's own gradients, before DistributedDataParallel averages them, and what came back.

PyTorch calls a parameter's hook as soon as its gradient is accumulated, and before DDP's own hook puts it into a
bucket (DDP's is one of the accumulating function, which runs behind those of the parameter). So nothing of DDP is
touched: the training computes what it computes when nobody looks. What came back is read at the end of the backward
pass, behind the callback in which DDP waits for its buckets.

The gradients are added up on the host in float64, which costs a copy of each: it is done at the few iterations whose
state is kept anyway.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import _disable_current_modes

from harness.rules.rank_gradients import BLOCKS, RankGradients
from harness.values.trace import FloatArray

__all__ = ["LocalGradients"]

_Sums = tuple[FloatArray, FloatArray, float]


class LocalGradients:
    """Listens to the gradients of a model that DistributedDataParallel wraps.

    Args:
        distributed: the wrapper.
        model: in it.

    Attributes:
        names: of the trained parameters, in their order.
    """

    def __init__(self, distributed: Any, model: torch.nn.Module) -> None:
        self._distributed = distributed
        self._parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.names = tuple(self._parameters)
        self._listening = False
        self._reducing = False
        self._local: dict[str, _Sums] = {}
        self._means: dict[str, _Sums] = {}
        self._handles = [
            parameter.register_post_accumulate_grad_hook(partial(self._accumulated, name))
            for name, parameter in self._parameters.items()
        ]

    @classmethod
    def of(cls, distributed: Any, model: torch.nn.Module) -> LocalGradients | None:
        """None where the processes' gradients aren't averaged by DDP."""
        return cls(distributed, model) if distributed is not None else None

    def listen(self) -> None:
        """Begin anew: the gradients of the iteration to come are wanted."""
        self._listening, self._reducing = True, False
        self._local, self._means = {}, {}

    def taken(self) -> RankGradients:
        """What was heard since ``listen``; of several backward passes the last."""
        self._listening = False
        none = (np.zeros(BLOCKS), np.zeros(BLOCKS), 0.0)
        local = [self._local.get(name, none) for name in self.names]
        whole = bool(self._means) and not _compresses(self._distributed)
        means = [self._means[name][0] for name in self.names] if whole else []
        formats = [torch.finfo(parameter.dtype) for parameter in self._parameters.values()]
        elements = np.array([-(-parameter.numel() // BLOCKS) for parameter in self._parameters.values()])
        return RankGradients(
            norm=math.sqrt(math.fsum(squares for _, _, squares in local)),
            sums=np.stack([each[0] for each in local]),
            sizes=np.stack([each[1] for each in local]),
            means=np.stack(means) if means else np.zeros((0, BLOCKS)),
            units=np.array([each.eps / 2 for each in formats]),
            # A device may flush what is smaller to zero.
            least=elements * np.array([each.tiny for each in formats]),
        )

    def end(self) -> None:
        """Let go of the parameters."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _accumulated(self, name: str, parameter: torch.nn.Parameter) -> None:
        """Called in the backward pass, when a gradient is whole."""
        if not self._listening:
            return
        self._local[name] = _sums(parameter.grad)
        if not self._reducing and self._distributed.require_backward_grad_sync:
            self._reducing = True
            # DDP's callback is queued later in this pass, so that one queued from a callback comes behind it.
            queue = torch.autograd.Variable._execution_engine.queue_callback
            queue(lambda: queue(self._reduced))

    def _reduced(self) -> None:
        self._reducing = False
        self._means = {name: _sums(p.grad, sizes=False) for name, p in self._parameters.items()}


def _compresses(distributed: Any) -> bool:
    """Whether the user has PyTorch's own hooks send something smaller: what comes back is then no mean to the bit."""
    hooks = [hook for hook, _ in getattr(distributed, "_comm_hooks", ())]
    own = [hook for hook in hooks if str(getattr(hook, "__module__", "")).startswith("torch.distributed.algorithms.")]
    return any(getattr(hook, "__name__", "") != "allreduce_hook" for hook in own)


@torch.no_grad()
def _sums(gradient: torch.Tensor | None, *, sizes: bool = True) -> _Sums:
    """Sums over blocks of the elements in the order of their indices, of their sizes, and of all squares.

    Args:
        gradient: of one parameter.
        sizes: whether its sizes and squares are wanted too; zeros else.
    """
    summed, sized = np.zeros(BLOCKS), np.zeros(BLOCKS)
    if gradient is None or not gradient.numel():
        return summed, sized, 0.0
    with _disable_current_modes():  # what watches the step's operations need not watch ours
        dense = gradient.detach().to_dense() if gradient.layout is not torch.strided else gradient.detach()
        flat = dense.cpu().reshape(-1)
        length = -(-flat.numel() // BLOCKS)
        whole = flat.numel() // length
        parts = [(0, whole, flat[: whole * length].view(whole, length))]
        if whole * length < flat.numel():
            parts.append((whole, whole + 1, flat[whole * length :].view(1, -1)))
        for start, end, rows in parts:
            summed[start:end] = rows.sum(1, dtype=torch.float64).numpy()
            if sizes:
                sized[start:end] = torch.linalg.vector_norm(rows, 1, dim=1, dtype=torch.float64).numpy()
        norm = torch.linalg.vector_norm(flat, dtype=torch.float64) if sizes else torch.zeros(())
        return summed, sized, float(norm) ** 2
