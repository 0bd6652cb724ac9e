"""A small residual segmentation net with batch norm, and its training loop, for comparing devices."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

CLASSES = 5


class Residual(nn.Module):
    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.skip = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.branch(x) + self.skip(x))


class SmallNet(nn.Module):
    """x (N, 3, H, W) → logits (N, 5, H, W): stem, residual blocks, pyramid pooling, attention, classifier."""

    def __init__(self, width: int = 8, dropout: float = 0.0) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        self.blocks = nn.Sequential(Residual(width, width, 1), Residual(width, 2 * width, 2))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.head = nn.Conv2d(4 * width, 2 * width, 3, 1, 1)
        self.norm = nn.BatchNorm2d(2 * width)
        self.dropout = nn.Dropout2d(dropout)
        self.classify = nn.Conv2d(2 * width, CLASSES, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.blocks(self.stem(x))
        pooled = functional.interpolate(self.pool(h), h.shape[2:], mode="bilinear", align_corners=False)
        h = functional.relu(self.norm(self.head(torch.cat([h, pooled], 1))))
        keys = h.flatten(2)
        attention = torch.softmax(keys.transpose(1, 2) @ keys / keys.shape[1] ** 0.5, -1)
        h = h + (keys @ attention.transpose(1, 2)).view_as(h)
        return functional.interpolate(self.classify(self.dropout(h)), x.shape[2:], mode="bilinear", align_corners=False)


def batches(count: int, batch: int = 2, size: int = 32) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    drawn = []
    for _ in range(count):
        labels = torch.randint(0, CLASSES, (batch, size, size), generator=generator)
        labels[torch.rand(labels.shape, generator=generator) < 0.1] = 255
        drawn.append((torch.randn(batch, 3, size, size, generator=generator), labels))
    return drawn


def train(device: str, iterations: int = 4, autocast: torch.dtype | None = None, **settings: float):
    """Losses, and the trained state on the host."""
    torch.manual_seed(11)
    net = SmallNet(**settings).to(device)
    optimizer = torch.optim.SGD(net.parameters(), 0.02, momentum=0.9, weight_decay=5e-4)
    losses = []
    for x, labels in batches(iterations):
        with torch.autocast(torch.device(device).type, dtype=autocast, enabled=autocast is not None):
            loss = functional.cross_entropy(net(x.to(device)).float(), labels.to(device), ignore_index=255)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, {name: value.cpu() for name, value in net.state_dict().items()}
