"""Random size and random flip against mmcv's transforms of the same names, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.values.errors import DataError
from models.datasets.transforms import RandomFlip, RandomResize

sides = st.integers(2, 60)
seeds = st.integers(0, 2**32 - 1)


def drawn(height: int, width: int) -> dict:
    labels = np.random.randint(0, 19, (height, width)).astype(np.uint8)
    image = np.random.randint(0, 256, (height, width, 3)).astype(np.uint8)
    return {"img": image, "gt_seg_map": labels, "ori_shape": (height, width), "img_shape": (height, width)}


def assert_same(ours, theirs, sample: dict, seed: int) -> None:
    """The same results by the same number of random draws."""
    results = []
    for step in (ours, theirs):
        np.random.seed(seed)
        results.append((step(dict(sample)), np.random.random_sample()))
    (one, after), (other, after_other) = results
    assert after == after_other
    assert tuple(one["img_shape"]) == tuple(other["img_shape"])
    for name in ("img", "gt_seg_map"):
        np.testing.assert_array_equal(one[name], other[name])


@given(sides, sides, st.tuples(sides, sides), seeds, st.booleans(), st.sampled_from([(0.5, 2.0), (1, 1), (0.75, 1.25)]))
def test_a_random_size_is_mmcvs(height, width, half, seed, keep_ratio, ratio_range):
    theirs = pytest.importorskip("mmcv.transforms").RandomResize
    scale = (2 * half[0], 2 * half[1])
    least = 0.5 * min(max(scale) / max(height, width), min(scale) / min(height, width))
    assume(not keep_ratio or least * min(height, width) >= 1)  # no side of no pixels
    np.random.seed(seed)
    settings = {"scale": scale, "ratio_range": ratio_range, "keep_ratio": keep_ratio}
    assert_same(RandomResize(**settings), theirs(**settings), drawn(height, width), seed)


@given(sides, sides, seeds, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_a_random_flip_is_mmcvs(height, width, seed, prob):
    theirs = pytest.importorskip("mmcv.transforms").RandomFlip
    np.random.seed(seed)
    sample = drawn(height, width)
    results = []
    for step in (RandomFlip(prob), theirs(prob=prob)):
        np.random.seed(seed)
        results.append(step(dict(sample)))
    assert bool(results[0]["flip"]) == bool(results[1]["flip"])
    np.testing.assert_array_equal(results[0]["img"], results[1]["img"])
    np.testing.assert_array_equal(results[0]["gt_seg_map"], results[1]["gt_seg_map"])


@pytest.mark.parametrize("scale", [(0, 4), (4,), (4.0, 4)])
def test_a_size_that_cant_be_is_refused(scale):
    with pytest.raises(DataError, match=r"RandomResize\.scale"):
        RandomResize(scale)


@pytest.mark.parametrize("prob", [-0.1, 1.5])
def test_a_chance_that_is_none_is_refused(prob):
    with pytest.raises(DataError, match=r"RandomFlip\.prob"):
        RandomFlip(prob)
