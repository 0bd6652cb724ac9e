"""What the harness computes on a device of its own accord, so that every device computes the same of equal tensors.

A device adds up in an order of its own. PyTorch's CPU kernel of ``_foreach_norm`` adds the squares of a tensor one
after another in float32: the norm of the full-size ANN's 46 million gradients comes out 1.2e-4 too small, far beyond
the bounds that healthy runs give. A device whose kernel is a tree is off by 1e-7. So no norm here is left to one long
sum: the device sums blocks of 256 elements, where any order is good to float32's last bits, and the host adds the
blocks in float64. That asks for no float64 on the device, and costs a transfer of 1/256 of the elements;
``benchmarks/recording_cost.py`` times it beside one long sum, and ``tests/recording/test_reductions.py`` holds both
against float64.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["BLOCK", "BlockNorms", "Gathered", "Joined", "block_norms", "fetch", "joint_norm", "total"]

BLOCK = 256
"""Elements that a device sums in float32.

The rounding of n positive terms that are added one after another is 0.12 u √n of their root, with u = 6e-8: 1.2e-7 for
256, and of a tensor of many blocks these average out. Equal elements are the exception, since each block of them is
rounded alike: PyTorch's CPU kernel is then 3e-7 off at most, where it is 2.3e-7 with 128 and 5.2e-7 with 512. Shorter
blocks cost time.
"""

_LEAST_ALONE = 2**13
_ALONE = {"cpu": _LEAST_ALONE}
_ALONE_ELSEWHERE = 2**16
"""Elements above which a tensor is read where it lies, by kind of device; up to which it is copied beside others.

One call takes all that are beside each other, and costs as much as copying so many: an accelerator copies faster.
"""

_NARROW = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class BlockNorms:
    """The norms of some tensors as far as a device computes them; ``fetch`` adds them up.

    Args:
        parts: tensors (n,) of one block's norm each, on the device.
        owners: (P,) int64, the tensor that each of the parts' elements belongs to, of all parts one after another.
        tensors: how many there are.
    """

    parts: tuple[torch.Tensor, ...]
    owners: npt.NDArray[np.int64]
    tensors: int

    def added(self, blocks: npt.NDArray[np.float64]) -> list[float]:
        """The norm of each tensor, from the fetched norms (P,) of its blocks."""
        with np.errstate(over="ignore", invalid="ignore"):  # a tensor that isn't finite has a norm that isn't
            squares = np.bincount(self.owners, weights=blocks * blocks, minlength=self.tensors)
        norms: list[float] = np.sqrt(squares).tolist()
        return norms


@dataclass(frozen=True)
class _Stretch:
    """Tensors of one device and dtype that are copied one after another.

    Args:
        rows: tensors (r, w); rows of zeros fill each up to a whole block.
        others: one-dimensional tensors, copied behind the rows; zeros fill each up to a whole block.
    """

    rows: tuple[torch.Tensor, ...]
    others: tuple[torch.Tensor, ...]

    def copied(self, into: torch.Tensor | None) -> torch.Tensor:
        """The elements one after another (n · BLOCK,), in memory of that size and dtype or in fresh one."""
        if into is None:
            size = sum(tensor.numel() for tensor in (*self.rows, *self.others))
            into = self.first.new_empty(size, dtype=self.dtype)
        end = 0
        if self.rows:
            width = self.rows[0].shape[1]
            end = sum(len(tensor) for tensor in self.rows) * width
            torch.cat(self.rows, out=into[:end].view(-1, width))
        if self.others:
            torch.cat(self.others, out=into[end:])
        return into

    @property
    def first(self) -> torch.Tensor:
        """One of the tensors: the others are of its device and dtype."""
        return (self.rows or self.others)[0]

    @property
    def dtype(self) -> torch.dtype:
        """Of the copy, wide enough for differences and squares."""
        return torch.float32 if self.first.dtype in _NARROW else self.first.dtype


@dataclass(frozen=True)
class Gathered:
    """Tensors in the order in which they are copied, each followed by zeros up to a whole block.

    Args:
        stretches: what is copied one after another, for each device and dtype.
        owners: (Σ n,) int64, the tensor that each block belongs to, of all stretches one after another.
        tensors: how many there are.
    """

    stretches: tuple[_Stretch, ...]
    owners: npt.NDArray[np.int64]
    tensors: int

    @classmethod
    def of(cls, tensors: Sequence[torch.Tensor]) -> Gathered:
        """Lay the tensors out: their elements aren't read yet.

        Args:
            tensors: one-dimensional; or (r, w), where w divides BLOCK and is the same for all.
        """
        kinds: dict[tuple[torch.device, torch.dtype], list[int]] = {}
        for owner, tensor in enumerate(tensors):
            kinds.setdefault((tensor.device, tensor.dtype), []).append(owner)
        for numbers in kinds.values():
            numbers.sort(key=lambda number: tensors[number].dim(), reverse=True)
        layout = _layout(tuple([tensor.numel() for tensor in tensors]), tuple(map(tuple, kinds.values())))
        stretches = []
        for (device, dtype), numbers in kinds.items():
            zeros = torch.zeros(BLOCK, device=device, dtype=dtype)
            fill = {missing: zeros[:missing] for missing in layout.distinct}
            rows: list[torch.Tensor] = []
            others: list[torch.Tensor] = []
            for number in numbers:
                tensor, missing = tensors[number], layout.missing[number]
                words = others if tensor.dim() == 1 else rows
                words.append(tensor)
                if missing:
                    words.append(fill[missing] if words is others else fill[missing].view(-1, tensor.shape[1]))
            stretches.append(_Stretch(tuple(rows), tuple(others)))
        return cls(tuple(stretches), layout.owners, len(tensors))

    @torch.no_grad()
    def joined(self, spare: Joined | None = None) -> Joined:
        """Copy the tensors as they are now.

        Args:
            spare: a copy that isn't needed any more, whose memory is written over where it is laid out alike.
        """
        fresh: tuple[torch.Tensor | None, ...] = (None,) * len(self.stretches)
        flats = fresh if spare is None or not self.is_layout_of(spare) else spare.flats
        copies = [stretch.copied(flat) for stretch, flat in zip(self.stretches, flats, strict=True)]
        return Joined(tuple(copies), self.owners, self.tensors)

    def is_layout_of(self, joined: Joined) -> bool:
        """Whether a copy could be one of these tensors, and its memory take another."""
        if self.owners is not joined.owners:
            return False
        mine = [(stretch.first.device, stretch.dtype) for stretch in self.stretches]
        if mine != [(flat.device, flat.dtype) for flat in joined.flats]:
            return False
        # What was made in inference mode can't be written to outside of it.
        return torch.is_inference_mode_enabled() or not any(flat.is_inference() for flat in joined.flats)


@dataclass(frozen=True)
class Joined:
    """Copies of tensors, one after another, each filled up with zeros to whole blocks.

    Args:
        flats: tensors (n · BLOCK,), one a device and dtype.
        owners: (Σ n,) int64, the tensor that each block belongs to, of all flats one after another.
        tensors: how many there are.
    """

    flats: tuple[torch.Tensor, ...]
    owners: npt.NDArray[np.int64]
    tensors: int

    @classmethod
    def of(cls, tensors: Sequence[torch.Tensor]) -> Joined:
        """Copy one-dimensional tensors as they are now."""
        return Gathered.of(tensors).joined()

    @torch.no_grad()
    def overwritten_by_change_to(self, now: Joined) -> Joined:
        """What a later copy of the same layout has more than this one, which is overwritten by it.

        Where both are near each other no rounding comes in.
        """
        pairs = zip(now.flats, self.flats, strict=True)
        return replace(self, flats=tuple(torch.sub(new, old, out=old) for new, old in pairs))

    @torch.no_grad()
    def norms(self) -> BlockNorms:
        """Begin the norm of each tensor."""
        return BlockNorms(tuple(_of_rows(flat) for flat in self.flats), self.owners, self.tensors)


@dataclass(frozen=True)
class _Layout:
    """How tensors stand one after another.

    Args:
        missing: zeros behind each tensor, so that it fills whole blocks.
        distinct: the different numbers of them.
        owners: (Σ n,) int64, as ``Joined`` has it.
    """

    missing: tuple[int, ...]
    distinct: tuple[int, ...]
    owners: npt.NDArray[np.int64]


@lru_cache(maxsize=64)
def _layout(sizes: tuple[int, ...], kinds: tuple[tuple[int, ...], ...]) -> _Layout:
    """Of tensors of these sizes, whose numbers are grouped by device and dtype; the same at every iteration."""
    missing = tuple(-size % BLOCK for size in sizes)
    blocks = [np.repeat(numbers, [-(-sizes[number] // BLOCK) for number in numbers]) for numbers in kinds]
    owners = np.concatenate([np.zeros(0, np.int64), *blocks])
    owners.setflags(write=False)
    return _Layout(missing, tuple(set(missing) - {0}), owners)


@torch.no_grad()
def block_norms(tensors: Iterable[torch.Tensor]) -> BlockNorms:
    """Begin the Euclidean norms of tensors of any shape, layout and floating or complex dtype, on their own devices.

    Args:
        tensors: of float16 and bfloat16 the blocks are summed in float32.
    """
    parts: list[torch.Tensor] = []
    alone: list[int] = []
    blocks: list[int] = []
    ends: list[torch.Tensor] = []
    for owner, tensor in enumerate(tensors):
        flat = _flat(tensor)
        elements = flat.numel()
        if elements > _LEAST_ALONE and elements > _ALONE.get(flat.device.type, _ALONE_ELSEWHERE):
            whole = elements - elements % BLOCK
            parts.append(_of_rows(flat[:whole] if whole < elements else flat))
            alone.append(owner)
            blocks.append(whole // BLOCK)
            flat = flat[whole:]
        ends.append(flat)
    rests = Joined.of(ends).norms()
    owners = np.concatenate([np.repeat(np.array(alone, np.int64), blocks), rests.owners])
    return BlockNorms((*parts, *rests.parts), owners, rests.tensors)


@torch.no_grad()
def joint_norm(tensors: Iterable[torch.Tensor]) -> BlockNorms:
    """Begin the Euclidean norm of all tensors together, which may be what ``block_norms`` takes: one value.

    Which tensor a block is of doesn't matter, so that the small ones are joined without zeros between them.
    """
    parts: list[torch.Tensor] = []
    small: dict[tuple[torch.dtype, torch.device], list[torch.Tensor]] = defaultdict(list)
    for tensor in tensors:
        elements = tensor.numel()
        if elements <= _LEAST_ALONE:  # on every device, so that all add up the same blocks
            small[tensor.dtype, tensor.device].append(tensor if tensor.layout is torch.strided else _flat(tensor))
            continue
        flat = _flat(tensor)
        elements = flat.numel()
        whole = elements - elements % BLOCK
        parts.append(_of_rows(flat[:whole] if whole < elements else flat))
        if whole < elements:
            small[flat.dtype, flat.device].append(flat[whole:])
    for (dtype, device), group in small.items():
        missing = -sum([tensor.numel() for tensor in group]) % BLOCK
        group.append(torch.zeros(missing, dtype=dtype, device=device))
        parts.append(_of_rows(torch.cat([tensor if tensor.dim() == 1 else tensor.reshape(-1) for tensor in group])))
    return BlockNorms(tuple(parts), np.zeros(sum([len(part) for part in parts]), np.int64), 1)


def _of_rows(flat: torch.Tensor) -> torch.Tensor:
    """The norm of each block of a whole number of them."""
    dtype = torch.float32 if flat.dtype in _NARROW else None
    norms: torch.Tensor = torch.linalg.vector_norm(flat.view(-1, BLOCK), dim=1, dtype=dtype)
    return norms


def fetch(*groups: Sequence[torch.Tensor] | BlockNorms) -> list[list[float]]:
    """The values of each group, in one transfer a device and kind of number; waits for the device.

    Args:
        groups: sequences of tensors of one element, of any dtype; or norms that were begun.

    Returns:
        For each group its values in order: the scalars, or the norm of each tensor. An integer is exact to 2^53.
    """
    pieces = [piece for group in groups for piece in _pieces(group)]
    values = iter(_transferred(pieces))
    fetched = []
    for group in groups:
        own = [next(values) for _ in _pieces(group)]
        joined = np.concatenate([np.zeros(0), *own])
        fetched.append(group.added(joined) if isinstance(group, BlockNorms) else joined.tolist())
    return fetched


def total(norms: Sequence[float], scales: Sequence[float] | None = None) -> float:
    """The Euclidean norm of all tensors together, from the norms of each and what to scale their squares by."""
    values = np.asarray(norms, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = (values if scales is None else np.asarray(scales, np.float64) * values) * values
    return math.sqrt(math.fsum(squares.tolist()))


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    """The elements of a tensor (n,) in the order of its memory where that saves a copy; of a sparse one its values."""
    if tensor.layout is not torch.strided:
        return (tensor.coalesce() if tensor.layout is torch.sparse_coo else tensor).values().reshape(-1)
    if tensor.dim() == 1:
        return tensor
    if tensor.is_contiguous():
        return tensor.view(-1)
    return tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True)).reshape(-1)


def _pieces(group: Sequence[torch.Tensor] | BlockNorms) -> Sequence[torch.Tensor]:
    return group.parts if isinstance(group, BlockNorms) else group


def _transferred(pieces: Sequence[torch.Tensor]) -> list[npt.NDArray[np.float64]]:
    """The elements of each piece as float64: integers, float32 and float64 travel apart, and nothing is rounded."""
    alike: dict[tuple[torch.device, torch.dtype], list[int]] = defaultdict(list)
    for number, piece in enumerate(pieces):
        alike[piece.device, _carrier(piece.dtype)].append(number)
    found: list[npt.NDArray[np.float64]] = [np.zeros(0)] * len(pieces)
    for (_, dtype), numbers in alike.items():
        with torch.no_grad():
            flat = [pieces[number].detach().reshape(-1) for number in numbers]
            together = torch.cat([piece if piece.dtype is dtype else piece.to(dtype) for piece in flat])
        fetched, start = together.cpu().numpy().astype(np.float64), 0
        for number, piece in zip(numbers, flat, strict=True):
            end = start + piece.numel()
            found[number], start = fetched[start:end], end
    return found


def _carrier(dtype: torch.dtype) -> torch.dtype:
    if dtype is torch.float64:
        return dtype
    return torch.float32 if dtype.is_floating_point else torch.int64
