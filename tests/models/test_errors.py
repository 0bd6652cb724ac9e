"""A wrong config names the field, what it was and what it can be."""

import copy

import pytest
import torch
from mmengine.config import Config

from harness.values.errors import ModelError
from models import build_model
from models.build import CONFIGS


@pytest.fixture
def settings():
    return copy.deepcopy(Config.fromfile(CONFIGS / "ann" / "ann_small.py", format_python_code=False).model.to_dict())


def _refused(settings):
    with torch.device("meta"), pytest.raises(ModelError) as error:
        build_model(settings)
    return error.value


@pytest.mark.parametrize(
    ("part", "field", "value", "where", "allowed"),
    [
        ("decode_head", "type", "ViTHead", "model.decode_head.type", "ANNHead"),
        ("decode_head", "type", "OCRHead", "model.decode_head.key_pool_scales", "ocr_channels"),
        ("decode_head", "in_channels", [128, 512], "model.decode_head.in_channels", "(256, 512)"),
        ("decode_head", "in_channels", [1024], "ANNHead.in_channels", "as many channels as stages"),
        ("decode_head", "in_index", [2, 4], "model.decode_head.in_index", "0 … 3"),
        ("decode_head", "dropout_ratio", 1.5, "ANNHead.dropout_ratio", "0 … 1"),
        ("decode_head", "chanels", 512, "model.decode_head.chanels", "channels"),
        ("auxiliary_head", "in_channels", 1024, "model.auxiliary_head.in_channels", "256"),
        ("auxiliary_head", "loss_decode", {"type": "Dice"}, "FCNHead.loss_decode.type", "CrossEntropyLoss"),
        ("backbone", "depth", 42, "backbone.depth", "50"),
        ("backbone", "strides", (1, 2), "backbone.strides", "four"),
        ("backbone", "stem_channels", 31, "backbone.stem_channels", "even"),
        ("backbone", "base_channels", 0, "backbone.base_channels", "positive"),
        ("norm_cfg", "type", "GN", "model.norm_cfg.type", "SyncBN"),
        ("norm_cfg", "groups", 4, "model.norm_cfg", "momentum"),
    ],
)
def test_a_wrong_setting_is_named(settings, part, field, value, where, allowed):
    settings[part][field] = value
    error = _refused(settings)
    assert error.where == where
    assert allowed in str(error.allowed)


def test_a_missing_setting_is_named(settings):
    del settings["decode_head"]["project_channels"]
    assert _refused(settings).where == "model.decode_head.project_channels"


def test_a_head_that_refines_needs_one_before_it(settings):
    head = {"type": "OCRHead", "in_channels": 2048, "in_index": 3, "channels": 512, "ocr_channels": 256}
    settings["decode_head"] = head
    assert _refused(settings).where == "model.decode_head.type"
    settings["decode_head"] = [settings["auxiliary_head"], settings["auxiliary_head"]]
    assert _refused(settings).where == "model.decode_head.1.type"


@pytest.mark.parametrize(
    ("stage", "field", "value", "where"),
    [
        ("stage2", "num_blocks", (4,), "backbone.extra.stage2.num_blocks"),
        ("stage3", "block", "DENSE", "backbone.extra.stage3.block"),
        ("stage4", "num_branches", 3, "backbone.extra.stage4.num_branches"),
    ],
)
def test_an_hrnet_that_contradicts_itself_is_named(stage, field, value, where):
    settings = Config.fromfile(CONFIGS / "ocrnet" / "ocrnet_small.py", format_python_code=False).model.to_dict()
    settings["backbone"]["extra"][stage][field] = value
    assert _refused(settings).where == where


def test_an_unknown_config_lists_those_there_are():
    with pytest.raises(ModelError, match="ann_small"):
        build_model("ann_tiny")


def test_crops_too_small_for_the_pyramid_are_refused():
    model = build_model("ann_small").eval()
    with pytest.raises(ModelError, match="4×8") as error, torch.no_grad():
        model.logits(torch.zeros(1, 3, 32, 64))
    assert error.value.where == "decode_head.key_pool_scales"
