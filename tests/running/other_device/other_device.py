"""A worker whose device trains like the CPU and measures otherwise: each of our own sums by another correct algorithm.

What a real accelerator would do with the same tensors: trees of float32 sums, float64 throughout, one element after
another. A gate that can tell these apart holds the CPU's own summation, and fails every device that adds up better.
"""

import os

import torch

from harness.recording import norms, recorder, reductions
from harness.running import worker


def main(words):
    measure = {"float64": in_float64, "tree": by_a_tree, "sequential": one_after_another}[os.environ["OTHER_DEVICE"]]
    for module in (recorder, norms, reductions):
        module.block_norms = lambda tensors: reductions.BlockNorms(*as_one_part_each(tensors, measure))
        module.joint_norm = lambda tensors: together(*as_one_part_each(tensors, measure))
    return worker.main(words)


@torch.no_grad()
def as_one_part_each(tensors, measure):
    parts = tuple(measure(tensor.detach().reshape(-1)).reshape(1) for tensor in tensors)
    return parts, reductions.np.arange(len(parts)), len(parts)


def together(parts, owners, _):
    return reductions.BlockNorms(parts, reductions.np.zeros_like(owners), 1)


def in_float64(flat):
    return flat.double().square().sum().sqrt()


def by_a_tree(flat):
    """Neighbours are added in float32, level by level, as a kernel of many threads does."""
    squares = flat * flat
    while squares.numel() > 1:
        if squares.numel() % 2:
            squares = torch.cat([squares, squares.new_zeros(1)])
        squares = squares[::2] + squares[1::2]
    return squares.sum().sqrt()


def one_after_another(flat):
    """Each block in float32 in the order of its elements, as a kernel of one thread does; then the blocks."""
    padded = torch.nn.functional.pad(flat * flat, (0, -flat.numel() % reductions.BLOCK)).reshape(-1, reductions.BLOCK)
    sums = torch.zeros(len(padded), dtype=flat.dtype)
    for column in padded.unbind(1):
        sums = sums + column
    return sums.double().sum().sqrt()
