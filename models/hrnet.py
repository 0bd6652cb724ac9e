"""HRNet: parallel branches at 1/4, 1/8, 1/16 and 1/32 of the image, fused again and again.

Source: Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition" (1908.07919), section 3 and
table 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.values.errors import ModelError
from models.checkpoint import load_backbone
from models.layers import kaiming_init, resize
from models.registry import MODELS
from models.residual import BasicBlock, Bottleneck, Residual, stack

__all__ = ["HRModule", "HRNet"]

_BLOCKS: Final[dict[str, type[Residual]]] = {"BASIC": BasicBlock, "BOTTLENECK": Bottleneck}


def _conv_bn(in_channels: int, channels: int, kernel_size: int, stride: int = 1, *, act: bool = False) -> nn.Sequential:
    """Convolution, batch norm and, where asked for, ReLU, under the keys 0, 1 and 2."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, channels, kernel_size, stride, kernel_size // 2, bias=False),
        nn.BatchNorm2d(channels),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if act else []))


class HRModule(nn.Module):
    """A few residual blocks on each branch, then every branch receives the sum of all (section 3.2, figure 3).

    Args:
        block: the residual block.
        channels: of each branch, in and out, high resolution first.
        blocks: how many on each branch.
    """

    def __init__(self, block: type[Residual], channels: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            stack(block, width, width // block.expansion, count) for width, count in zip(channels, blocks, strict=True)
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_path(channels, source, target) for source in range(len(channels)))
            for target in range(len(channels))
        )

    def forward(self, branches: Sequence[Tensor]) -> list[Tensor]:
        """The branches (N, Cᵢ, H / 2ⁱ, W / 2ⁱ) → the same shapes."""
        x = [branch(features) for branch, features in zip(self.branches, branches, strict=True)]
        return [self._fuse(x, target) for target in range(len(x))]

    def _fuse(self, x: Sequence[Tensor], target: int) -> Tensor:
        height, width = x[target].shape[2:]
        parts = []
        for source, path in enumerate(cast("nn.ModuleList", self.fuse_layers[target])):
            part: Tensor = path(x[source])
            if source > target:
                # First by the power of two, then to the target's size: where sizes are odd, the two differ.
                factor = 2 ** (source - target)
                part = resize(part, (part.shape[2] * factor, part.shape[3] * factor))
                part = resize(part, (height, width))
            parts.append(part)
        return F.relu(reduce(torch.add, parts))


def _path(channels: Sequence[int], source: int, target: int) -> nn.Module:
    """From one branch to another: 1×1 (and upsampling) up, strided 3×3 convolutions down, itself as it is."""
    if source == target:
        return nn.Identity()
    if source > target:
        return _conv_bn(channels[source], channels[target], 1)
    halvings = target - source
    return nn.Sequential(
        *(_conv_bn(channels[source], channels[source], 3, 2, act=True) for _ in range(halvings - 1)),
        _conv_bn(channels[source], channels[target], 3, 2),
    )


@MODELS.register_module()
class HRNet(nn.Module):
    """Image → the features of four resolutions.

    Args:
        extra: `stage1` … `stage4`, each with `num_modules`, `num_branches`, `block` ("BASIC" or "BOTTLENECK"),
            `num_blocks` and `num_channels`, the last two with a number for each branch.
        checkpoint: a file with pretrained weights of this backbone.

    Raises:
        ModelError: a stage is missing or contradicts itself, or the checkpoint doesn't fit.
    """

    def __init__(self, extra: Mapping[str, Mapping[str, Any]], *, checkpoint: str | None = None) -> None:
        super().__init__()
        for number in range(1, 5):
            _check(extra, number)
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        first = extra["stage1"]
        block = _BLOCKS[first["block"]]
        self.layer1 = stack(block, 64, first["num_channels"][0], first["num_blocks"][0])
        channels = [first["num_channels"][0] * block.expansion]
        for number in range(2, 5):
            stage = extra[f"stage{number}"]
            block = _BLOCKS[stage["block"]]
            widths = [width * block.expansion for width in stage["num_channels"]]
            self.add_module(f"transition{number - 1}", _transition(channels, widths))
            modules = (HRModule(block, widths, stage["num_blocks"]) for _ in range(stage["num_modules"]))
            self.add_module(f"stage{number}", nn.Sequential(*modules))
            channels = widths
        self.out_channels = tuple(channels)
        kaiming_init(self)
        if checkpoint is not None:
            load_backbone(self, checkpoint)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H, W) → (N, C₁, H/4, W/4), (N, C₂, H/8, W/8), (N, C₃, H/16, W/16), (N, C₄, H/32, W/32)."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        branches = [self.layer1(x)]
        for number in range(2, 5):
            transition = cast("nn.ModuleList", self.get_submodule(f"transition{number - 1}"))
            # A branch of the width that it had goes on; every other one begins from the lowest resolution so far.
            branches = [
                path(branches[i] if isinstance(path, nn.Identity) else branches[-1])
                for i, path in enumerate(transition)
            ]
            branches = self.get_submodule(f"stage{number}")(branches)
        return tuple(branches)


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """From the branches of one stage to those of the next, one of them new (section 3.1)."""
    paths: list[nn.Module] = []
    for i, width in enumerate(after):
        if i < len(before):
            paths.append(nn.Identity() if width == before[i] else _conv_bn(before[i], width, 3, act=True))
        else:
            paths.append(nn.Sequential(_conv_bn(before[-1], width, 3, 2, act=True)))
    return nn.ModuleList(paths)


def _check(extra: Mapping[str, Mapping[str, Any]], number: int) -> None:
    where = f"backbone.extra.stage{number}"
    fields = ("num_modules", "num_branches", "block", "num_blocks", "num_channels")
    stage = extra.get(f"stage{number}", {})
    if missing := [field for field in fields if field not in stage]:
        raise ModelError("an HRNet's stage lacks a setting", where=where, observed=f"no {missing[0]}", allowed=fields)
    if stage["block"] not in _BLOCKS:
        raise ModelError("no such block", where=f"{where}.block", observed=stage["block"], allowed=tuple(_BLOCKS))
    if stage["num_branches"] != number:
        raise ModelError(
            "stages add one branch each",
            where=f"{where}.num_branches",
            observed=stage["num_branches"],
            allowed=number,
        )
    for field in ("num_blocks", "num_channels"):
        if len(stage[field]) != stage["num_branches"]:
            raise ModelError(
                "a number for each branch", where=f"{where}.{field}", observed=stage[field], allowed=f"{number} numbers"
            )
