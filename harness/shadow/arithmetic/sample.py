"""A sample of a tensor: enough of it to tell what an elementwise update made of it."""

from __future__ import annotations

import torch

from harness.values.sampling import smallest_step

__all__ = ["LARGEST_SAMPLE", "sample", "thinned"]

LARGEST_SAMPLE = 16_384
"""Elements. The optimizer treats every element alike: a copy of all of them would double the memory of the model."""


def sample(tensor: torch.Tensor) -> torch.Tensor:
    """At most ``LARGEST_SAMPLE`` elements of a tensor, evenly spread, on the host in float64, (n,)."""
    dense = tensor.detach() if tensor.layout is torch.strided else tensor.detach().to_dense()
    if dense.is_complex():  # which an optimizer takes for pairs of numbers
        dense = torch.view_as_real(dense.resolve_conj())
    return thinned(dense).reshape(-1).cpu().double().clone()


def thinned(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself where it is small, else a view of, or a copy of, so few of its elements, (n,)."""
    if tensor.numel() <= LARGEST_SAMPLE:
        return tensor
    least = -(-tensor.numel() // LARGEST_SAMPLE)
    step = smallest_step(tensor.numel(), least)
    # A size with many factors has no such step near by: a longer one would leave little of the tensor.
    return tensor.reshape(-1)[:: step if step <= 2 * least + 1 else least | 1]
