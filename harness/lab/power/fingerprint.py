"""What a fault, or rounding alone, does to each gradient and each update: compared with a twin's, element by element.

A norm can stay where it was while a tensor turns; so a few elements of every gradient and update are kept of the twin,
and the relative error of the others' from them is written down. It says whether a fault has any effect worth finding,
by another measure than the rules that are to find it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmengine.hooks import Hook
from torch.utils._python_dispatch import _disable_current_modes

from harness.values.errors import TraceError
from harness.values.sampling import largest_step

__all__ = ["FingerprintHook", "load_samples"]

_ELEMENTS = 512
"""Elements of a tensor that are looked at: a relative error norm of as many is known to a few per cent."""

_PARTS = ("gradient", "update")

Samples = dict[str, npt.NDArray[np.float32]]


class FingerprintHook(Hook):  # type: ignore[misc]  # mmengine is not typed
    """Samples every gradient and update, at every iteration.

    Args:
        path: where to write: of a twin the samples, of others their errors beside the twin's.
        twin: the twin's samples; None for the twin itself.
    """

    priority = "VERY_LOW"

    def __init__(self, path: Path, twin: Samples | None = None) -> None:
        self._path = path
        self._twin = twin
        self._kept: dict[str, list[Any]] = {part: [] for part in _PARTS}
        self._gradients: torch.Tensor | None = None

    def before_train(self, runner: Any) -> None:
        """Listen to the optimizer."""
        self._parameters = [p for p in runner.model.parameters() if p.requires_grad]
        self._sizes = np.array([_sample(p).numel() for p in self._parameters])
        runner.optim_wrapper.optimizer.register_step_pre_hook(self._before_step)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Keep what the iteration will overwrite."""
        self._gradients = None
        with _disable_current_modes():  # what is watched of the iteration's operations must not see these
            self._before = _gather([p.detach() for p in self._parameters])

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Keep the samples, or their errors."""
        with _disable_current_modes():
            update = (_gather([p.detach() for p in self._parameters]).double() - self._before.double()).float()
        gradients = self._gradients if self._gradients is not None else torch.zeros_like(update)
        for part, sample in zip(_PARTS, (gradients, update), strict=True):
            values = sample.numpy()
            if self._twin is not None:
                values = _errors(values, self._twin[part][runner.iter], self._sizes)
            self._kept[part].append(values)

    def close(self) -> None:
        """Write what was kept, also of a run that was stopped."""
        if self._kept[_PARTS[0]]:
            gradient, update = (np.stack(self._kept[part]).astype(np.float32) for part in _PARTS)
            with self._path.open("wb") as file:
                np.savez(file, gradient=gradient, update=update)

    def _before_step(self, *_: Any) -> None:
        with _disable_current_modes():
            self._gradients = _gather([torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters])


def load_samples(path: Path) -> Samples:
    """What a hook wrote.

    Raises:
        TraceError: the file is missing or malformed.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {part: archive[part] for part in _PARTS}
    except (OSError, ValueError, KeyError) as failure:
        raise TraceError("samples of gradients can't be read", where=path, observed=repr(failure)) from None


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    """Evenly spaced elements in the order of the indices, at least as many as are looked at or all of them, (n,)."""
    flat = tensor.reshape(-1)
    return flat[:: largest_step(flat.numel(), flat.numel() // _ELEMENTS)]


def _gather(tensors: list[torch.Tensor]) -> torch.Tensor:
    """One tensor on the host, (N,) float32."""
    return torch.cat([_sample(tensor) for tensor in tensors]).cpu().float()


def _errors(ours: npt.NDArray[np.float32], twin: npt.NDArray[np.float32], sizes: npt.NDArray[np.int64]) -> Any:
    """(P,) ‖ours − twin‖ / ‖twin‖ a tensor; 0 where they are equal, infinite where only the twin is 0."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    a, b = ours.astype(np.float64), twin.astype(np.float64)
    with np.errstate(all="ignore"):
        error = np.sqrt(np.add.reduceat((a - b) ** 2, starts))
        size = np.sqrt(np.add.reduceat(b**2, starts))
        return np.where(error == 0, 0.0, error / size)
