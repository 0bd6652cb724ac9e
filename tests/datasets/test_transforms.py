"""The transforms against their definitions, on images that encode their own labels."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.values.errors import DataError
from models.datasets import IGNORE, PackSegInputs, PhotoMetricDistortion, RandomCrop
from models.datasets.transforms import RandomAspectResize, RandomBrightness, RandomPad
from models.registry import TRANSFORMS


def sample_of(labels: np.ndarray) -> dict:
    """An image whose blue is the label, whose green the row and whose red the column."""
    rows, columns = np.indices(labels.shape)
    image = np.stack([labels, rows % 256, columns % 256], axis=-1).astype(np.uint8)
    return {"img": image, "gt_seg_map": labels.astype(np.uint8), "ori_shape": labels.shape, "img_shape": labels.shape}


sizes = st.integers(1, 40)


@given(sizes, sizes, sizes, sizes, st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.75, 1.0]))
def test_a_crop_is_a_window_of_the_image_and_of_the_same_labels(
    height: int, width: int, crop_height: int, crop_width: int, seed: int, ratio: float
) -> None:
    np.random.seed(seed)
    sample = sample_of(np.random.randint(0, 19, (height, width)))
    cut = RandomCrop((crop_height, crop_width), cat_max_ratio=ratio)(sample)
    assert cut["img"].shape[:2] == cut["gt_seg_map"].shape == cut["img_shape"]
    assert cut["img_shape"] == (min(height, crop_height), min(width, crop_width))
    assert np.array_equal(cut["img"][..., 0], cut["gt_seg_map"])
    top, left = cut["img"][0, 0, 1], cut["img"][0, 0, 2]
    expected = sample["img"][top : top + crop_height, left : left + crop_width]
    assert np.array_equal(cut["img"], expected)


@given(sizes, sizes, st.integers(0, 2**32 - 1))
def test_labels_stay_with_their_pixels_through_the_exact_pipeline(height: int, width: int, seed: int) -> None:
    np.random.seed(seed)
    sample = sample_of(np.random.randint(0, 19, (height, width)))
    for step in (RandomCrop((16, 16)), TRANSFORMS.build({"type": "RandomFlip", "prob": 0.5}), PackSegInputs()):
        sample = step(sample)
    assert torch.equal(sample["inputs"][0], sample["data_samples"]["gt_sem_seg"])
    columns = sample["inputs"][2, 0].int()
    assert torch.equal(columns.diff().abs(), torch.ones(len(columns) - 1, dtype=torch.int32))


def test_crops_reach_every_place() -> None:
    np.random.seed(0)
    sample = sample_of(np.zeros((6, 7), dtype=int))
    corners = {tuple(RandomCrop((4, 4))(sample)["img"][0, 0, 1:].tolist()) for _ in range(400)}
    assert corners == set(itertools.product(range(3), range(4)))


def tries(labels: np.ndarray, crop: RandomCrop, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict]:
    """How many places were tried: two draws each."""
    drawn = []
    randint = np.random.randint

    def counted(*args: int) -> int:
        drawn.append(args)
        return int(randint(*args))

    with monkeypatch.context() as patched:
        patched.setattr(np.random, "randint", counted)
        cut = crop(sample_of(labels))
    return len(drawn) // 2, cut


def columns_of(*stripes: tuple[int, int]) -> np.ndarray:
    """Labels that depend on the column alone: (label, columns) each; 20 rows."""
    return np.tile(np.concatenate([np.full(count, label) for label, count in stripes]), (20, 1))


@pytest.mark.parametrize(
    ("stripes", "ratio", "expected"),
    [
        ([(0, 14), (1, 6)], 0.75, 1),  # 70 % is below 75 %
        ([(0, 15), (1, 5)], 0.75, 10),  # 75 % is not below 75 %
        ([(0, 20)], 0.75, 10),  # one class alone, however large the share
        ([(0, 15), (1, 5)], 1.0, 1),  # nothing is asked of the crop
        ([(0, 9), (1, 3), (IGNORE, 8)], 0.75, 10),  # 9 of the 12 that count
        ([(0, 8), (1, 4), (IGNORE, 8)], 0.75, 1),  # 8 of the 12 that count
        ([(0, 4), (IGNORE, 16)], 0.75, 10),  # what is ignored is no second class
        ([(IGNORE, 20)], 0.75, 10),  # and nothing at all is not a mixture
    ],
)
def test_up_to_ten_places_are_tried(
    stripes: list[tuple[int, int]], ratio: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.random.seed(0)
    count, cut = tries(columns_of(*stripes), RandomCrop((20, 20), cat_max_ratio=ratio), monkeypatch)
    assert count == expected
    assert cut["img_shape"] == (20, 20)


def test_a_mixed_place_is_found_where_there_is_one() -> None:
    labels = np.zeros((40, 40), dtype=int)
    labels[:, 20:] = 1
    found = 0
    for seed in range(200):
        np.random.seed(seed)
        cut = RandomCrop((10, 20), cat_max_ratio=0.75)(sample_of(labels))["gt_seg_map"]
        found += np.bincount(cut.ravel()).max() < 0.75 * cut.size and cut.min() != cut.max()
    # 9 of 21 columns are good, so ten tries miss with probability (12/21)**10 = 0.4 %.
    assert found >= 196


@pytest.mark.parametrize(
    "setting",
    [
        {"crop_size": (0, 4)},
        {"crop_size": (4,)},
        {"crop_size": (4, 4.5)},
        {"crop_size": (4, 4), "cat_max_ratio": 0.0},
        {"crop_size": (4, 4), "cat_max_ratio": 1.1},
    ],
)
def test_a_crop_that_cannot_be_meant(setting: dict) -> None:
    with pytest.raises(DataError):
        RandomCrop(**setting)


@pytest.mark.parametrize(
    "setting",
    [{"contrast_range": (1.5, 0.5)}, {"saturation_range": (-0.5, 1)}, {"brightness_delta": -1}, {"hue_delta": -18}],
)
def test_a_distortion_that_cannot_be_meant(setting: dict) -> None:
    with pytest.raises(DataError, match=next(iter(setting))):
        PhotoMetricDistortion(**setting)


GREY = np.full((4, 4, 3), 100, dtype=np.uint8)


def distorted(image: np.ndarray, seed: int, **settings: object) -> np.ndarray:
    np.random.seed(seed)
    return PhotoMetricDistortion(**settings)({"img": image})["img"]


def test_each_change_happens_in_half_of_the_samples() -> None:
    colour = np.tile(np.array([40, 90, 160], dtype=np.uint8), (4, 4, 1))
    still = {"brightness_delta": 0, "contrast_range": (1.0, 1.0), "saturation_range": (1.0, 1.0), "hue_delta": 0}
    for change in (
        {"brightness_delta": 32},
        {"contrast_range": (0.5, 0.6)},
        {"saturation_range": (0.5, 0.6)},
        {"hue_delta": 18},
    ):
        moved = sum(
            not np.array_equal(distorted(colour, seed, **still | change), distorted(colour, seed, **still))
            for seed in range(300)
        )
        assert 110 < moved < 180, change  # 150 ± 4.6 standard deviations, less what a draw near zero leaves as it was


def test_brightness_shifts_by_32_at_most_and_contrast_scales_by_half_to_one_and_a_half() -> None:
    shifts = {int(distorted(GREY, seed, contrast_range=(1.0, 1.0))[0, 0, 0]) - 100 for seed in range(600)}
    assert min(shifts) == -32
    assert max(shifts) in (31, 32)
    factors = [int(distorted(GREY, seed, brightness_delta=0)[0, 0, 0]) for seed in range(600)]
    assert 50 <= min(factors) <= 51
    assert 148 <= max(factors) <= 150


def test_a_grey_picture_has_no_hue_and_no_saturation_to_change() -> None:
    for seed in range(20):
        image = distorted(GREY, seed)
        assert (image == image[0, 0, 0]).all()


def test_hue_turns_by_18_at_most_and_goes_round() -> None:
    hsv = np.zeros((1, 180, 3), dtype=np.uint8)
    hsv[0, :, 0] = np.arange(180)
    hsv[..., 1:] = 255
    image = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    turns = set()
    for seed in range(400):
        turned = distorted(image, seed, brightness_delta=0, contrast_range=(1.0, 1.0), saturation_range=(1.0, 1.0))
        hue = cv2.cvtColor(turned, cv2.COLOR_BGR2HSV)[0, :, 0].astype(int)
        turn = (hue - np.arange(180) + 90) % 180 - 90
        assert np.ptp(turn) <= 1  # OpenCV rounds hues
        turns.add(int(np.median(turn)))
    assert turns == set(range(-18, 19))


def test_saturation_scales_by_half_to_one_and_a_half() -> None:
    hsv = np.full((1, 1, 3), (60, 100, 200), dtype=np.uint8)
    image = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    seen = []
    for seed in range(400):
        changed = distorted(image, seed, brightness_delta=0, contrast_range=(1.0, 1.0), hue_delta=0)
        seen.append(int(cv2.cvtColor(changed, cv2.COLOR_BGR2HSV)[0, 0, 1]))
    assert 48 <= min(seen) <= 52
    assert 147 <= max(seen) <= 151


def test_contrast_comes_before_saturation_as_often_as_after_it() -> None:
    """A bright picture tells the order: scaled first, it is cut at 255 before its saturation is read."""
    image = np.tile(np.array([120, 180, 250], dtype=np.uint8), (2, 2, 1))
    settings = {"brightness_delta": 0, "contrast_range": (1.5, 1.5), "saturation_range": (0.5, 0.5), "hue_delta": 0}

    def brighter(values: np.ndarray) -> np.ndarray:
        return np.clip(values.astype(np.float64) * 1.5, 0, 255).astype(np.uint8)

    def paler(values: np.ndarray) -> np.ndarray:
        hsv = cv2.cvtColor(values, cv2.COLOR_BGR2HSV)
        hsv[..., 1] //= 2
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)

    seen = [distorted(image, seed, **settings)[0, 0].tolist() for seed in range(800)]
    orders = [paler(brighter(image))[0, 0].tolist(), brighter(paler(image))[0, 0].tolist()]
    assert orders[0] != orders[1]
    # Both changes happen in 1/4 of the samples: 100 ± 9 for either order.
    assert all(60 < seen.count(order) < 140 for order in orders)


def test_distortion_leaves_its_input_alone() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    for seed in range(20):
        distorted(image, seed)
    assert np.array_equal(image, np.arange(48, dtype=np.uint8).reshape(4, 4, 3))


def test_packing_owns_its_memory_and_keeps_what_it_is_asked_to() -> None:
    sample = sample_of(np.zeros((4, 6), dtype=int)) | {"img_path": "a.png", "position": 3, "flip": True, "other": 1}
    sample["img"] = sample["img"][:, ::-1]
    packed = PackSegInputs()(sample)
    expected = sample["img"].copy()
    sample["img"][:] = 9
    assert packed["inputs"].is_contiguous()
    assert np.array_equal(packed["inputs"].numpy(), expected.transpose(2, 0, 1))
    assert set(packed["data_samples"]) == {"img_path", "ori_shape", "img_shape", "flip", "position", "gt_sem_seg"}
    unlabelled = {key: value for key, value in sample.items() if key != "gt_seg_map"}
    assert "gt_sem_seg" not in PackSegInputs(meta_keys=("img_path",))(unlabelled)["data_samples"]


def test_the_full_size_pipeline_of_the_seeds() -> None:
    steps = [
        {"type": "RandomResize", "scale": (2048, 1024), "ratio_range": (0.5, 2.0), "keep_ratio": True},
        {"type": "RandomCrop", "crop_size": (512, 1024), "cat_max_ratio": 0.75},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PhotoMetricDistortion"},
        {"type": "PackSegInputs"},
    ]
    np.random.seed(0)
    labels = np.zeros((256, 512), dtype=int)
    labels[:, 200:300] = 7
    labels[:100, 300:] = IGNORE
    sample = sample_of(labels)
    for step in steps:
        sample = TRANSFORMS.build(step)(sample)
    assert sample["inputs"].shape == (3, 512, 1024)
    assert set(sample["data_samples"]["gt_sem_seg"].unique().tolist()) <= {0, 7, IGNORE}


def test_a_random_aspect_keeps_the_area_that_the_scale_says() -> None:
    sample = {"img": np.zeros((400, 800, 3), np.uint8), "gt_seg_map": np.full((400, 800), 255, np.uint8)}
    sample["gt_seg_map"][:, :400] = 7
    seen = []
    for seed in range(50):
        np.random.seed(seed)
        out = RandomAspectResize((0.5, 2.0), (0.9, 1.1))(sample)
        height, width = out["img_shape"]
        assert out["img"].shape == (height, width, 3)
        assert set(np.unique(out["gt_seg_map"])) == {7, 255}
        seen.append((width / 800 * height / 400, width / height / 2))
    areas, aspects = np.array(seen).T
    assert 0.25 <= areas.min() < 0.6
    assert 2.0 < areas.max() <= 4.0
    assert 0.895 < aspects.min() < 0.93
    assert 1.07 < aspects.max() < 1.105
    assert abs(np.corrcoef(areas, aspects)[0, 1]) < 0.5


def test_brightness_shifts_all_channels_by_one_whole_number() -> None:
    image = np.array([[[0, 100, 255], [5, 128, 250]]], np.uint8)
    shifts = set()
    for seed in range(200):
        np.random.seed(seed)
        out = RandomBrightness(10)({"img": image})["img"].astype(int)
        shift = out[0, 0, 1] - 100
        assert (out == np.clip(image.astype(int) + shift, 0, 255)).all()
        shifts.add(int(shift))
    assert shifts == set(range(-10, 11))


def test_a_smaller_image_is_put_at_a_random_place_and_what_is_around_is_ignored() -> None:
    sample = {"img": np.full((3, 5, 3), 9, np.uint8), "gt_seg_map": np.full((3, 5), 2, np.uint8)}
    places = set()
    for seed in range(100):
        np.random.seed(seed)
        out = RandomPad((4, 7), (103, 116, 123))(sample)
        inside = out["gt_seg_map"] == 2
        assert (out["img"].shape, out["img_shape"], int(inside.sum())) == ((4, 7, 3), (4, 7), 15)
        assert (out["gt_seg_map"][~inside] == 255).all()
        assert (out["img"][inside] == 9).all()
        assert (out["img"][~inside] == (103, 116, 123)).all()
        places.add(tuple(np.argwhere(inside)[0].tolist()))
    assert places == {(top, left) for top in range(2) for left in range(3)}
    with pytest.raises(DataError, match="larger than what it is padded to"):
        RandomPad((2, 7))(sample)


@pytest.mark.parametrize(
    "build",
    [
        lambda: RandomAspectResize((0.0, 1.0)),
        lambda: RandomAspectResize((1.0, 2.0), (1.1, 0.9)),
        lambda: RandomBrightness(300),
        lambda: RandomPad((0, 4)),
        lambda: RandomPad((4, 4), (0, 0, 256)),
    ],
)
def test_settings_of_the_originals_augmentation_that_cannot_be_meant(build: Callable[[], object]) -> None:
    with pytest.raises(DataError):
        build()
