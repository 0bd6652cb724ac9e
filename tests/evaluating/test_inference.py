"""Inference against its definition, on models whose logits are known."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from harness.inference.inference import answer_image, count_passes, margins_of
from harness.inference.inference_settings import Fuse, InferenceSettings, Mode, settings_of, windows
from harness.values.errors import CaseError, ModelError, UsageError

CPU = torch.device("cpu")


class Preprocessor(nn.Module):
    def normalise(self, image):
        return image.float()


class Local(nn.Module):
    """Logits that depend on each pixel alone: windows change nothing."""

    def __init__(self, classes=5):
        super().__init__()
        torch.manual_seed(0)
        self.data_preprocessor = Preprocessor()
        self.layer = nn.Conv2d(3, classes, 1)
        self.asked = []

    def forward(self, inputs, mode="tensor"):
        assert mode == "tensor"
        self.asked.append(tuple(inputs.shape))
        return self.layer(inputs / 255)


class Whereabouts(Local):
    """Class 0's logit is the column within the input, class 1's a half of its width: windows show."""

    def forward(self, inputs, mode="tensor"):
        self.asked.append(tuple(inputs.shape))
        columns = torch.arange(inputs.shape[3], dtype=torch.float32).expand(1, 1, *inputs.shape[2:])
        return torch.cat([columns, torch.full_like(columns, inputs.shape[3] / 2)], dim=1)


def image(height=37, width=53):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(st.integers(1, 400), st.integers(1, 200), st.data())
def test_windows_cover_every_pixel_and_stay_inside(length, crop, data):
    stride = data.draw(st.integers(1, crop))
    found = windows(length, crop, stride)
    covered = np.zeros(length, int)
    for begin, end in found:
        assert 0 <= begin < end <= length
        assert end - begin == min(crop, length)
        covered[begin:end] += 1
    assert covered.min() >= 1
    assert len(set(found)) == len(found)


def test_the_windows_of_the_field_s_recipes():
    """769 crops of the field (2 × 4 on 1025 × 2049), and the original ANN's 864 crops of 1024 × 2048."""
    assert windows(1025, 769, 513) == ((0, 769), (256, 1025))
    assert [begin for begin, _ in windows(2049, 769, 513)] == [0, 513, 1026, 1280]
    assert [begin for begin, _ in windows(1024, 864, 576)] == [0, 160]
    assert [begin for begin, _ in windows(2048, 864, 576)] == [0, 576, 1152, 1184]
    assert [begin for begin, _ in windows(1280, 864, 576)] == [0, 416]
    assert [begin for begin, _ in windows(2560, 864, 576)] == [0, 576, 1152, 1696]


def test_windows_of_a_local_model_are_the_whole_image():
    model = Local()
    whole = answer_image(model, image(), InferenceSettings(), CPU, 5)
    slid = answer_image(model, image(), InferenceSettings(Mode.SLIDE, (16, 20), (11, 7)), CPU, 5)
    assert torch.allclose(whole.scores, slid.scores, atol=1e-5)
    assert (whole.classes == slid.classes).all()
    assert whole.classes.shape == (37, 53)


def test_windows_are_averaged_where_they_overlap():
    model = Whereabouts(classes=2)
    answer = answer_image(model, image(4, 12), InferenceSettings(Mode.SLIDE, (4, 8), (4, 4)), CPU, 2)
    assert model.asked == [(1, 3, 4, 8), (1, 3, 4, 8)]
    # columns 0–3 by the first window alone, 4–7 by both, 8–11 by the second
    assert answer.scores[0, 0].tolist() == [0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7]
    assert margins_of(answer)[0].tolist() == [4, 3, 2, 1, 2, 1, 0, 1, 0, 1, 2, 3]


def test_a_crop_larger_than_the_image_is_the_whole_image():
    model = Local()
    answer_image(model, image(), InferenceSettings(Mode.SLIDE, (64, 20), (32, 20)), CPU, 5)
    assert {shape[2] for shape in model.asked} == {37}


def test_a_mirrored_view_is_mirrored_back():
    model = Local()
    plain = answer_image(model, image(), InferenceSettings(), CPU, 5)
    both = answer_image(model, image(), InferenceSettings(flip=True, fuse=Fuse.LOGITS), CPU, 5)
    assert torch.allclose(both.scores, 2 * plain.scores, atol=1e-5)
    mean = answer_image(model, image(), InferenceSettings(flip=True, fuse=Fuse.SOFTMAX), CPU, 5)
    assert torch.allclose(mean.scores, plain.scores.softmax(dim=0), atol=1e-6)


def test_scales_are_fused_at_the_image_s_own_size():
    model = Local()
    settings = InferenceSettings(scales=(0.5, 1.0, 1.75), flip=True)
    answer = answer_image(model, image(), settings, CPU, 5)
    assert {shape[2:] for shape in model.asked} == {(19, 27), (37, 53), (65, 93)}  # 37 · 0.5 + 0.5, as mmcv rounds
    assert len(model.asked) == settings.views == 6
    assert answer.scores.shape == (5, 37, 53)
    assert torch.allclose(answer.scores.sum(dim=0), torch.ones(37, 53), atol=1e-5)


def test_the_two_fusions_differ_where_one_view_shouts():
    """A view with large logits decides a sum of logits, and has one vote in a mean of softmax."""

    class Shouting(Local):
        def forward(self, inputs, mode="tensor"):
            self.asked.append(1)
            first = torch.tensor([0.0, 9.0]) if len(self.asked) % 3 == 1 else torch.tensor([3.0, 0.0])
            return first.view(1, 2, 1, 1).expand(1, 2, *inputs.shape[2:])

    scales = (0.9, 1.0, 1.1)
    by_logits = answer_image(Shouting(2), image(), InferenceSettings(scales=scales, fuse=Fuse.LOGITS), CPU, 2)
    by_softmax = answer_image(Shouting(2), image(), InferenceSettings(scales=scales, fuse=Fuse.SOFTMAX), CPU, 2)
    assert (by_logits.classes == 1).all()
    assert (by_softmax.classes == 0).all()


def test_images_are_fitted_into_a_size_first():
    model = Local()
    answer_image(model, image(32, 64), InferenceSettings(resize=(129, 65)), CPU, 5)
    assert model.asked == [(1, 3, 64, 129)] or model.asked == [(1, 3, 65, 129)]
    assert model.asked[0][3] <= 129


def test_another_number_of_classes_is_refused():
    with pytest.raises(ModelError, match="another number of classes") as caught:
        answer_image(Local(4), image(), InferenceSettings(), CPU, 19)
    assert (caught.value.observed, caught.value.allowed) == (4, 19)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": Mode.SLIDE}, "windows need a crop"),
        ({"mode": Mode.SLIDE, "crop": (4, 4)}, "windows need a crop and a stride"),
        ({"crop": (4, 4)}, "the mode is whole"),
        ({"mode": Mode.SLIDE, "crop": (4, 4), "stride": (5, 4)}, "leave pixels between them"),
        ({"mode": Mode.SLIDE, "crop": (0, 4), "stride": (1, 4)}, "whole numbers from 1"),
        ({"scales": ()}, "a scale is a factor"),
        ({"scales": (float("nan"),)}, "a scale is a factor"),
        ({"scales": (0.0,)}, "a scale is a factor"),
    ],
)
def test_settings_that_contradict_each_other(settings, message):
    with pytest.raises(UsageError, match=message):
        InferenceSettings(**settings)


def test_a_config_says_how_and_the_command_line_lays_over_it():
    config = {
        "model": {"test_cfg": {"mode": "slide", "crop_size": (769, 769), "stride": (513, 513)}},
        "train_dataloader": {
            "dataset": {"pipeline": [{"type": "RandomResize", "scale": (2049, 1025), "keep_ratio": True}]}
        },
    }
    settings = settings_of(config, {})
    assert settings == InferenceSettings(Mode.SLIDE, (769, 769), (513, 513), (2049, 1025))
    assert count_passes((1024, 2048), settings) == 8
    assert settings_of(config, {"mode": "whole"}).crop is None
    assert settings_of(config, {"stride": (400, 400), "flip": True}).stride == (400, 400)
    assert settings_of({"model": {}}, {}) == InferenceSettings()
    with pytest.raises(CaseError, match="no such mode"):
        settings_of({"model": {"test_cfg": {"mode": "tiles"}}}, {})


def test_the_original_ann_s_test_takes_17_passes_and_34_with_mirrored_views():
    settings = InferenceSettings(Mode.SLIDE, (864, 864), (576, 576), scales=(0.75, 1.0, 1.25), fuse=Fuse.LOGITS)
    # ANN takes 0.75 (768 × 1536) in one piece since a side is smaller than the crop; mmsegmentation's windows are 3
    assert count_passes((1024, 2048), settings) == 3 + 8 + 8
