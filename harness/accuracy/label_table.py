"""The labels that a data set is scored by: their ids, which are ignored, their categories, which have instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from harness.values.errors import DataError

__all__ = ["LabelTable", "ScoredLabel"]


@final
@dataclass(frozen=True)
class ScoredLabel:
    """One label of a data set.

    Args:
        name: as the data set publishes it.
        category: what it belongs to; empty in a data set without categories.
        ignored: whether its pixels are left out of every score.
        answer: the model's class that means it, 0 … K−1; None where no class does.
        average_size: of its instances, in pixels; None where it has none.
        colour: RGB.
    """

    name: str
    category: str = ""
    ignored: bool = False
    answer: int | None = None
    average_size: float | None = None
    colour: tuple[int, int, int] = (0, 0, 0)


@final
@dataclass(frozen=True)
class LabelTable:
    """The labels of a data set; a label's place is its id, 0 … R−1.

    Args:
        data_set: its name, for messages and pages.
        labels: R of them.

    Raises:
        DataError: the classes that the labels name aren't 0 … K−1, each once.
    """

    data_set: str
    labels: tuple[ScoredLabel, ...]

    def __post_init__(self) -> None:
        answers = sorted(label.answer for label in self.labels if label.answer is not None)
        if answers != list(range(len(answers))):
            raise DataError(
                "the classes of a label table aren't 0 … K−1, each once", where=self.data_set, observed=answers
            )

    @property
    def classes(self) -> int:
        """K, how many classes a model of this data set answers with."""
        return sum(label.answer is not None for label in self.labels)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The K names, by class."""
        return tuple(self.labels[index].name for index in self.ids_of_answers)

    @property
    def ids_of_answers(self) -> npt.NDArray[np.int64]:
        """(K,) the label id that each class means."""
        pairs = sorted((label.answer, id_) for id_, label in enumerate(self.labels) if label.answer is not None)
        return np.array([id_ for _, id_ in pairs], dtype=np.int64)

    @property
    def scored(self) -> tuple[int, ...]:
        """The ids that aren't ignored."""
        return tuple(id_ for id_, label in enumerate(self.labels) if not label.ignored)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that have a label which isn't ignored, in the order of their first label."""
        return tuple(dict.fromkeys(label.category for label in self.labels if label.category and not label.ignored))

    @property
    def with_instances(self) -> tuple[int, ...]:
        """The ids that are scored by instances too."""
        return tuple(id_ for id_ in self.scored if self.labels[id_].average_size is not None)

    @property
    def instance_categories(self) -> dict[str, tuple[int, ...]]:
        """The scored categories all of whose labels have instances, each with all of its ids, ignored ones too."""
        members = {
            name: tuple(id_ for id_, label in enumerate(self.labels) if label.category == name)
            for name in self.categories
        }
        return {
            name: ids for name, ids in members.items() if all(self.labels[id_].average_size is not None for id_ in ids)
        }

    @classmethod
    def plain(cls, data_set: str, names: Sequence[str], colours: Sequence[tuple[int, int, int]]) -> LabelTable:
        """A table of K classes without categories or instances; the id after the last one is what is ignored."""
        scored = [
            ScoredLabel(name, answer=index, colour=colour)
            for index, (name, colour) in enumerate(zip(names, colours, strict=True))
        ]
        return cls(data_set, (*scored, ScoredLabel("ignored", ignored=True)))
