"""A case's model, optimizer and batch on one device, and training steps of them: what the other benchmarks time."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.dataset import pseudo_collate

from harness.recording.start_weights import draw_start_weights
from harness.running.cases import find_case, load_config
from models import build_model
from models.datasets import TicketSampler
from models.registry import DATASETS


class TrainingStep:
    """Training steps of a case, without a Runner.

    Args:
        name: the case.
        device: ``cpu``, ``cuda``, or ``sdaa`` where the emulated device is installed.
        seed: of start weights and batch.
    """

    def __init__(self, name: str, device: str, seed: int = 0) -> None:
        self._case = find_case(name)
        self._config = load_config(self._case.config)
        self._data = DATASETS.build({**self._config.train_dataloader.dataset})
        self.model = build_model(self._config).to(device).train()
        self.begin(seed)

    def begin(self, seed: int) -> None:
        """Another seed's start weights and first batch, and an optimizer that has taken no step."""
        draw_start_weights(self.model, seed, **self._case.start)
        self._optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)
        positions = iter(TicketSampler(self._data, shuffle=True, seed=seed))
        count = self._config.train_dataloader.batch_size
        self._batch: Any = pseudo_collate([self._data[next(positions)] for _ in range(count)])

    def feed(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch on the device: images (B, 3, H, W), normalized, and labels (B, H, W)."""
        prepared = self.model.data_preprocessor(self._batch, True)
        return prepared["inputs"], prepared["data_samples"]["gt_sem_seg"]

    def take(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        optimizing: AbstractContextManager[object] | None = None,
    ) -> float:
        """Train on a batch once.

        Args:
            images: as ``feed`` gives them.
            labels: theirs.
            optimizing: a context that the optimizer's step is taken in.

        Returns:
            Seconds.
        """
        started = time.perf_counter()
        losses = self.model.losses(images, labels)
        self._optimizer.zero_grad()
        torch.stack([value for key, value in losses.items() if "loss" in key]).sum().backward()
        with optimizing or nullcontext():
            self._optimizer.step()
        return time.perf_counter() - started
