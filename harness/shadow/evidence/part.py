"""The parts of a training step."""

from __future__ import annotations

from enum import Enum

__all__ = ["Part"]


class Part(str, Enum):
    """The part of a training step that a check belongs to."""

    FORWARD = "forward"
    BACKWARD = "backward"
    OPTIMIZER = "optimizer"
    BUFFERS = "buffers"
    LOSS = "loss"
    TRANSFER = "transfer"
    RANDOM = "random"
    REDUCE = "reduce"
    PRECISION = "precision"
    """The format that a result was stored in: its error is that format's unit roundoff."""
