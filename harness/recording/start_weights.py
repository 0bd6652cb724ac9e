"""Start weights that are the same bytes on every machine, numpy and torch, and a digest that proves it.

A tensor's values depend on the seed, its name and its shape alone, so that a model written elsewhere starts from the
same weights where its names are the same. Draws are uniform: 24 bits from a counter-based integer generator, times a
bound whose only inexact steps are a quotient and a square root, which IEEE 754 rounds correctly everywhere; no
logarithm, cosine or power of the platform's library takes part.

Source: the generator is SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014,
figure 16); the bound is that of He et al. (1502.01852), eq. 10, for a uniform distribution: √(6 / fan-in).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from harness.values.errors import ModelError

__all__ = ["draw_start_weights", "weights_digest"]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_CHUNK: Final = 1 << 15
"""Words drawn at a time: what stays in a core's cache."""

_BRANCH_NORM: Final = re.compile(r"(.*\.\d+(?=\.bn)|.*\.fuse_layers\.\d+\.\d+)\.(?:bn[23]|(?:\d+\.)?1)\.weight")


def draw_start_weights(
    model: nn.Module,
    seed: int,
    *,
    gain: float = 1.0,
    classifier: float = 0.02,
    gamma: float = 0.5,
    last_norm: float = 1.0,
    keep: Collection[str] = (),
) -> None:
    """Fill a model's parameters and its normalizations' statistics, in place; drawn on the host.

    Other buffers stay as they are: they are tables that the model computed, as the positions in a window's attention.

    | tensor | value |
    |---|---|
    | `conv_seg.weight`: classifiers | uniform in ± `classifier` |
    | `bases` of expectation–maximization attention (1, C, K) | uniform, each of the K then scaled to length 1 |
    | `gamma`: how much of an attention is added | `gamma` |
    | other tensors of two or more dimensions: convolutions, linear layers | uniform in ± `gain` · √(6 / fan-in) |
    | vectors that end in `weight`: norms; `running_var` | 1; the last of each residual branch: `last_norm` |
    | every other vector or number: biases, running means, counters | 0 |

    Args:
        model: any module, on any device, of any floating dtype; every value is a float32.
        seed: of the draw.
        gain: factor of the bound of convolutions and linear layers.
        classifier: bound of the classifiers' weights.
        gamma: 0 hides the attention until it has moved; a case that is to see the attention starts elsewhere.
        last_norm: 0 starts every residual block as its shortcut, as the field's large-batch recipes do (Goyal et al.,
            1706.02677, section 5.1); between 0 and 1 damps the growth of rounding through a deep backbone.
            HRNet's exchange between branches counts as a residual branch too.
        keep: modules whose tensors stay as they are, as dotted names; ``""`` is the whole model.

    Raises:
        ModelError: a setting isn't finite.
    """
    settings = {"gain": gain, "classifier": classifier, "gamma": gamma, "last_norm": last_norm}
    for name, value in settings.items():
        if not math.isfinite(value):
            raise ModelError("a setting isn't finite", where=f"alignment.start.{name}", observed=value)
    tensors: dict[str, Tensor] = model.state_dict()
    last_norms = _last_norms(tensors)
    tables = {name for name, _ in model.named_buffers(remove_duplicate=False) if not _is_statistic(name)}
    for name in sorted(tensors, reverse=True):  # of a tensor with two names, the first one counts
        if name in tables or any(not module or name.startswith(f"{module}.") for module in keep):
            continue
        tensor = tensors[name]
        shape = tuple(tensor.shape)
        if name.endswith("conv_seg.weight"):
            values = _uniform(seed, name, shape, classifier)
        elif name.endswith("bases"):
            values = _unit_columns(seed, name, shape)
        elif "gamma" in name.split(".")[-2:]:
            values = np.full(shape, gamma, np.float32)
        elif len(shape) > 1:
            values = _uniform(seed, name, shape, gain * math.sqrt(6.0 / math.prod(shape[1:])))
        elif name.endswith("running_var") or (name.endswith("weight") and shape):
            values = np.full(shape, last_norm if name in last_norms else 1.0, np.float32)
        else:
            values = np.zeros(shape, np.float32)
        tensor.copy_(torch.from_numpy(values))


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of a model's state dict: names in order, shapes, dtypes and little-endian bytes; 64 hex digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        # Of a copy: memory that NumPy has seen can't be resized, as an observer's buffers are by the program.
        digest.update(_little_endian(tensor.detach().to("cpu", copy=True)))
    return digest.hexdigest()


def _is_statistic(name: str) -> bool:
    """Whether a buffer is what training moves: a norm's statistics and counter, the bases of an attention."""
    return name.endswith(("running_mean", "running_var", "num_batches_tracked", "bases"))


def _last_norms(tensors: dict[str, Tensor]) -> frozenset[str]:
    """The norm that ends each residual branch.

    `bn3` of a bottleneck, `bn2` of a basic block, the last of a path from one of HRNet's branches into another.
    """
    norms: dict[str, str] = {}
    for name in sorted(tensors):  # of a branch's norms, the last in order stays
        if match := _BRANCH_NORM.fullmatch(name):
            norms[match[1]] = name
    return frozenset(norms.values())


def _uniform(seed: int, name: str, shape: tuple[int, ...], bound: float) -> npt.NDArray[np.float32]:
    """Draws in [−bound, bound), in steps of bound / 2²³."""
    draws = _draws(seed, name, math.prod(shape)).astype(np.float64)
    draws *= bound / 2**23
    return draws.astype(np.float32).reshape(shape)


def _unit_columns(seed: int, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Draws of length 1 along the second axis; the squares add up in integers, so in any order to the same sum."""
    draws = _draws(seed, name, math.prod(shape)).reshape(shape)
    lengths = np.sqrt((draws * draws).sum(axis=1, keepdims=True).astype(np.float64))
    unit: npt.NDArray[np.float32] = (draws / lengths).astype(np.float32)
    return unit


def _draws(seed: int, name: str, count: int) -> npt.NDArray[np.int64]:
    """`count` integers in [−2²³, 2²³), a pure function of the seed, the name and their place; two from each word."""
    key = np.frombuffer(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "<u8").astype(np.uint64)
    halves = np.empty((-(-count // 2), 2), np.int64)
    for start in range(0, len(halves), _CHUNK):
        stop = min(start + _CHUNK, len(halves))
        words = np.arange(start + 1, stop + 1, dtype=np.uint64)
        words *= _GOLDEN
        words += key
        for shift, multiplier in zip((np.uint64(30), np.uint64(27)), _MULTIPLIERS, strict=True):
            words ^= words >> shift
            words *= multiplier
        words ^= words >> np.uint64(31)
        halves[start:stop, 0] = words >> np.uint64(40)
        halves[start:stop, 1] = (words >> np.uint64(8)) & np.uint64(0xFFFFFF)
    halves -= 2**23
    return halves.reshape(-1)[:count]


def _little_endian(tensor: Tensor) -> bytes:
    integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    size = tensor.element_size()
    return tensor.contiguous().view(-1).view(integers[size]).numpy().astype(f"<i{size}" if size > 1 else "u1").tobytes()
