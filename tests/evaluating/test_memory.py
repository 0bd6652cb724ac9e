"""A set of thousands of images with 150 classes: 180 kB a matrix, of which a few are in memory at a time."""

from __future__ import annotations

import tracemalloc

import numpy as np

from harness.accuracy.paired_difference import paired_difference
from harness.accuracy.scores import score_images
from harness.evaluating.counts_stream import CountsOfRows, ImageRow
from models.datasets.class_names import ADE20K
from models.datasets.labelled_folders import table_of

TABLE = table_of("ADE20K", ADE20K, None)
MATRIX = 8 * len(TABLE.labels) ** 2


def rows(count: int, seed: int) -> list[ImageRow]:
    rng = np.random.default_rng(seed)
    return [
        ImageRow(
            f"image-{number}", (64, 64), 0.1, 1, tuple((int(a), int(b), 7) for a, b in rng.integers(1, 151, (9, 2)))
        )
        for number in range(count)
    ]


def peak(count: int) -> int:
    """Bytes above what the rows themselves take, of the scores and of an interval over images."""
    one, other = CountsOfRows(rows(count, 0), TABLE), CountsOfRows(rows(count, 1), TABLE)
    tracemalloc.start()
    assert score_images(one, TABLE).images == count
    assert paired_difference(one, other, TABLE, by_image=True).clusters == count
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return highest


def test_scores_and_intervals_take_a_few_matrices_whatever_the_set_s_size():
    few, many = peak(20), peak(200)
    assert few < 12 * MATRIX
    assert many - few < 3 * MATRIX
