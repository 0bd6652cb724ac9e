"""What every data set here is: images, label maps where it has them, a pipeline, and draws that have names."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import Dataset

from harness.values.errors import DataError
from models.datasets.draws import Draws
from models.datasets.sampler import Ticket
from models.registry import TRANSFORMS

__all__ = ["ImageFiles", "Pipeline", "Sample", "SegmentationSet", "require_split"]

Sample = dict[str, Any]
Pipeline = Sequence[Mapping[str, Any] | Callable[[Sample], Sample]]


class ImageFiles(NamedTuple):
    """One image of a data set: its name, `<city>/<stem>` or `<stem>`, and its files; None for what it doesn't have."""

    name: str
    image: Path
    labels: Path | None
    instances: Path | None = None


class SegmentationSet(Dataset[Sample]):
    """Samples of a list of files, each put through a pipeline.

    What a sample's transforms draw, they draw from numpy's legacy generator and Python's own. Asked for with a
    `Ticket`, which `TicketSampler` gives, both are seeded from the ticket's seed and position for the time of that
    sample and put back after it: a batch is then the same with any number of loader workers, forked or spawned. Asked
    for with a plain index, as other samplers do, the generators are used as they stand, as mmengine seeds them.

    Args:
        files: of the images, in order.
        pipeline: transforms, each a config dict or a callable; with none, a sample is its paths.
        described: what the transforms must know of the data set beside the paths.
    """

    metainfo: dict[str, Any]

    def __init__(self, files: Sequence[ImageFiles], pipeline: Pipeline, described: Mapping[str, Any]) -> None:
        self._files = tuple(files)
        self._described = dict(described)
        self._transforms = [step if callable(step) else TRANSFORMS.build(dict(step)) for step in pipeline]

    def __len__(self) -> int:
        """The number of images."""
        return len(self._files)

    @property
    def files(self) -> tuple[ImageFiles, ...]:
        """Every image's files, in the data set's order."""
        return self._files

    def __getitem__(self, ticket: Ticket | int) -> Sample:
        """The sample after its pipeline.

        Raises:
            DataError: a file of it is missing, damaged or doesn't fit; says which.
        """
        if not isinstance(ticket, Ticket):
            return self._prepared({"index": ticket, **self._paths(ticket)})
        with _own_randomness(ticket):
            return self._prepared({"index": ticket.index, "position": ticket.position, **self._paths(ticket.index)})

    def _paths(self, index: int) -> Sample:
        files = self._files[index]
        paths = {"img_path": str(files.image), **self._described}
        return paths if files.labels is None else paths | {"seg_map_path": str(files.labels)}

    def _prepared(self, sample: Sample) -> Sample:
        for transform in self._transforms:
            sample = transform(sample)
        return sample


def require_split(kind: str, split: str, allowed: Sequence[str]) -> None:
    """Refuse a split that a data set doesn't have.

    Raises:
        DataError: it hasn't.
    """
    if split not in allowed:
        raise DataError("There is no such split", where=f"{kind}.split", observed=split, allowed=tuple(allowed))


@contextmanager
def _own_randomness(ticket: Ticket) -> Iterator[None]:
    """Seed the two generators that transforms draw from by the ticket, and put them back afterwards."""
    word = Draws("augmentation", ticket.seed, ticket.position).word()
    numpy_state, python_state = np.random.get_state(), random.getstate()
    np.random.seed((word & 0xFFFFFFFF, word >> 32))
    random.seed(word)
    try:
        yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
