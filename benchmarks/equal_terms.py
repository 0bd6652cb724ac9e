"""Sums of equal terms, and of terms that are nearly equal: how many healthy calls shadow ops call wrong.

    python benchmarks/equal_terms.py [--tier fp32]

A sum that adds one equal term after another rounds alike each time, and a long one is as far off as 0.04 %: the
gradient of an average is the same in each place, and so is that of an embedding's padding. Each call here is of the
CPU's own kernel, so that a finding is a false alarm. Terms are equal, or differ by up to 1 % or by up to a factor of
two; sums have about a thousand, fifty thousand and a million of them, maps are 8 to 128 wide, in both memory formats.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.devices.surroundings import git_commit
from harness.shadow.evidence.checks import Coverage, ShadowRecord
from harness.shadow.judging.operations import weigh_shadow
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps

Terms = Callable[..., Tensor]


def main() -> None:
    """Make every call under shadow, print those that are called wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", default="fp32")
    tier = parser.parse_args().tier
    torch.set_num_threads(1)
    calls = called = 0
    for share in (0.0, 0.01, 1.0):
        for name, call in _calls(partial(_terms, share=share)):
            torch.manual_seed(0)
            calls += 1
            if found := _violated(call, tier):
                called += 1
                print(f"{name}, terms that differ by up to {100 * share:g} %: {', '.join(found)}", flush=True)
    print(f"{called} of {calls} healthy calls are called wrong at {tier}")
    print(f"torch {torch.__version__}, {platform.machine()}, commit {git_commit(Path(__file__).parent)[:12]}")


def _violated(call: Callable[[], object], tier: str) -> list[str]:
    mode = ShadowOps(CallSites(nn.Module()), 0, tier)
    with mode:
        call()
    rows = weigh_shadow(ShadowRecord((0,), tuple(mode.checks), Coverage()), tier).violations
    return [f"{row.op}, {row.tensor}" for row in rows]


def _terms(*shape: int, share: float) -> Tensor:
    """Positive numbers that differ by up to a share of the smallest."""
    return 0.006 * (1 + share * torch.rand(*shape))


def _gradients(function: Callable[..., Tensor], terms: Terms, *inputs: Tensor) -> None:
    """A backward whose incoming gradient is such terms."""
    leaves = [tensor.requires_grad_() for tensor in inputs]
    made = function(*leaves)
    torch.autograd.grad(made, leaves, terms(*made.shape).contiguous(memory_format=_format(made)))


def _format(tensor: Tensor) -> torch.memory_format:
    last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _calls(terms: Terms) -> Iterator[tuple[str, Callable[[], object]]]:
    for count in (1_000, 50_000, 1_000_003):
        for name, call in _sums(terms, count).items():
            yield f"{name} of {count}", call
    for size in (8, 32, 128):
        for layout in (torch.contiguous_format, torch.channels_last):
            for name, call in _maps(terms, size, layout).items():
                yield f"{name}, maps of {size}, {layout}", call
        for name, call in _losses(terms, size).items():
            yield f"{name}, maps of {size}", call


def _sums(terms: Terms, count: int) -> dict[str, Callable[[], object]]:
    rows, few = count // 8, count // 64 + 1

    def places() -> Tensor:
        return torch.randint(0, 3, (rows,))

    return {
        "sum": lambda: terms(count).sum(),
        "mean": lambda: terms(count).mean(),
        "sum over rows": lambda: terms(rows, 64).sum(0),
        "sum over columns": lambda: terms(64, rows).sum(1),
        "norm": lambda: torch.linalg.vector_norm(terms(count)),
        "variance": lambda: terms(rows, 64).var(0),
        "logsumexp": lambda: torch.logsumexp(terms(64, rows), 1),
        "product": lambda: terms(32, rows) @ terms(rows, 32),
        "product with a vector": lambda: terms(32, rows) @ terms(rows),
        "product of vectors": lambda: torch.dot(terms(count), terms(count)),
        "cumulative sum": lambda: terms(4, rows).cumsum(1),
        "index_add": lambda: torch.zeros(5, 16).index_add_(0, places(), terms(rows, 16)),
        "scatter_add": lambda: torch.zeros(5, 16).scatter_add_(0, places()[:, None].expand(-1, 16), terms(rows, 16)),
        "index_put": lambda: torch.zeros(5, 16).index_put_((places(),), terms(rows, 16), accumulate=True),
        "embedding": lambda: _gradients(lambda w: F.embedding(places(), w), terms, torch.randn(5, 16)),
        "linear": lambda: _gradients(F.linear, terms, torch.randn(count // 16, 8), torch.randn(32, 8), torch.randn(32)),
        "layer norm": lambda: _gradients(
            lambda x, w, b: F.layer_norm(x, (32,), w, b), terms, torch.randn(few, 32), torch.ones(32), torch.zeros(32)
        ),
        "group norm": lambda: _gradients(
            lambda x, w, b: F.group_norm(x, 4, w, b), terms, torch.randn(2, 32, few), torch.ones(32), torch.zeros(32)
        ),
    }


def _maps(terms: Terms, size: int, layout: torch.memory_format) -> dict[str, Callable[[], object]]:
    def maps(channels: int) -> Tensor:
        return terms(2, channels, size, size).contiguous(memory_format=layout)

    def drawn(channels: int) -> Tensor:
        return torch.randn(2, channels, size, size).contiguous(memory_format=layout)

    return {
        "batch norm, backward": lambda: _gradients(
            lambda x, w, b: F.batch_norm(x, None, None, w, b, True), terms, drawn(32), torch.ones(32), torch.zeros(32)
        ),
        "batch norm": lambda: F.batch_norm(drawn(32) * 1e-3 + maps(32), torch.zeros(32), torch.ones(32), training=True),
        "convolution": lambda: _gradients(
            partial(F.conv2d, padding=1), terms, maps(16), torch.randn(32, 16, 3, 3), torch.randn(32)
        ),
        "1×1 convolution": lambda: _gradients(F.conv2d, terms, maps(16), terms(32, 16, 1, 1), torch.randn(32)),
        "depthwise convolution": lambda: _gradients(
            partial(F.conv2d, padding=1, groups=32), terms, maps(32), torch.randn(32, 1, 3, 3), torch.randn(32)
        ),
        "transposed convolution": lambda: _gradients(
            partial(F.conv_transpose2d, stride=2), terms, maps(16), torch.randn(16, 8, 2, 2), torch.randn(8)
        ),
        "pooling": lambda: F.adaptive_avg_pool2d(maps(32), 1),
        "interpolation": lambda: _gradients(partial(F.interpolate, scale_factor=8.0, mode="bilinear"), terms, drawn(4)),
    }


def _losses(terms: Terms, size: int) -> dict[str, Callable[[], object]]:
    def scores() -> Tensor:
        return terms(2, 19, size, size)

    return {
        "cross entropy": lambda: F.cross_entropy(scores(), torch.zeros(2, size, size, dtype=torch.long)),
        "binary cross entropy": lambda: F.binary_cross_entropy_with_logits(scores(), torch.zeros(2, 19, size, size)),
        "smooth L1": lambda: F.smooth_l1_loss(scores(), torch.zeros(2, 19, size, size)),
    }


if __name__ == "__main__":
    main()
