"""The original ANN's recipe: each part of the config held to what its hyper-parameters and its code say."""

import pytest
import torch

from harness.running.cases import find_case, load_config
from harness.values.errors import ModelError
from models import build_model
from models.ohem import OHEMCrossEntropyLoss
from models.resnet import ResNet, ResNetV1c

NAME = "ann_r101-d8_original_cityscapes-769x769"
WEIGHTS = (
    *(0.8373, 0.9180, 0.8660, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023),
    *(0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507),
)


@pytest.fixture(scope="module")
def config():
    return load_config(find_case(NAME).config)


@pytest.fixture(scope="module")
def model():
    with torch.device("meta"):
        return build_model(NAME)


def test_the_stem_is_64_64_128_and_the_last_stages_are_dilated(model):
    stem = [layer for layer in model.backbone.stem if isinstance(layer, torch.nn.Conv2d)]
    assert [(conv.in_channels, conv.out_channels, conv.stride[0]) for conv in stem] == [
        (3, 64, 2),
        (64, 64, 1),
        (64, 128, 1),
    ]
    assert [len(getattr(model.backbone, f"layer{stage}")) for stage in (1, 2, 3, 4)] == [3, 4, 23, 3]
    dilations = [[block.conv2.dilation[0] for block in getattr(model.backbone, f"layer{stage}")] for stage in (3, 4)]
    assert dilations == [[1] + [2] * 22, [2, 4, 4]]  # the convolution that had the stride has half of it
    assert model.backbone.ceil_mode


def test_the_heads(model):
    head, extra = model.decode_head, model.auxiliary_head
    assert (head.fusion.stages[0].key_project.conv.in_channels, head.fusion.bottleneck.conv.out_channels) == (
        1024,
        2048,
    )
    assert head.context.stages[0].key_project.conv.out_channels == 256
    assert head.fusion.stages[0].bins == head.context.stages[0].bins == (1, 3, 6, 8)
    assert (extra.convs[0].conv.in_channels, extra.convs[0].conv.out_channels) == (1024, 512)
    for part in (head, extra):
        assert part.dropout.p == 0.05
        assert part.align_corners


def test_the_losses(model):
    main, extra = model.decode_head.loss_decode, model.auxiliary_head.loss_decode
    assert isinstance(main, OHEMCrossEntropyLoss)
    assert (main.loss_weight, main.thresh, main.min_kept, main.class_weight) == (1.0, 0.7, 100_000, WEIGHTS)
    assert (extra.loss_weight, extra.avg_non_ignore, extra.class_weight) == (0.4, True, WEIGHTS)


def test_pixels_are_blue_first_minus_caffes_mean(config):
    preprocessor = build_model(dict(config.model.data_preprocessor))
    told = preprocessor.normalise(torch.tensor([[[103]], [[116]], [[123]]], dtype=torch.uint8)).flatten().tolist()
    assert told == pytest.approx([103 - 102.9801, 116 - 115.9465, 123 - 122.7717], abs=1e-5)


def test_the_augmentation_in_its_order(config):
    steps = [dict(step) for step in config.train_dataloader.dataset.pipeline[2:-1]]
    assert steps == [
        {"type": "RandomAspectResize", "scale_range": (0.5, 2.0), "aspect_range": (0.9, 1.1)},
        {"type": "RandomCrop", "crop_size": (769, 769)},
        {"type": "RandomBrightness", "shift_value": 10},
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "RandomPad", "size": (769, 769), "pad_val": (103, 116, 123)},
    ]


def test_optimizer_schedule_and_validation(config):
    assert dict(config.optim_wrapper.optimizer) == {"type": "SGD", "lr": 0.01, "momentum": 0.9, "weight_decay": 0.0005}
    (schedule,) = config.param_scheduler
    assert (schedule.type, schedule.power, schedule.eta_min, schedule.end) == ("PolyLR", 0.9, 0.0, 60000)
    assert (config.train_cfg.max_iters, config.train_cfg.val_interval) == (60000, 4000)
    assert config.val_cfg.type == "ValidationLoop"
    assert config.model.test_cfg.mode == "whole"


def test_a_pool_that_rounds_up_has_a_row_and_a_column_more():
    sizes = {}
    for ceil_mode in (False, True):
        backbone = ResNet(
            18, strides=(1, 1, 1, 1), dilations=(1, 1, 1, 1), base_channels=2, stem_channels=2, ceil_mode=ceil_mode
        )
        sizes[ceil_mode] = [tuple(backbone(torch.zeros(1, 3, side, side))[0].shape[2:]) for side in (64, 65)]
    assert sizes == {False: [(16, 16), (17, 17)], True: [(17, 17), (17, 17)]}


def test_a_grid_multiplies_the_last_stages_dilations():
    backbone = ResNetV1c(50, stem_channels=4, base_channels=2, multi_grid=(1, 2, 4))
    assert [block.conv2.dilation[0] for block in backbone.layer4] == [2, 8, 16]
    assert [block.conv2.dilation[0] for block in backbone.layer3] == [1, 2, 2, 2, 2, 2]
    plain, ones = (ResNetV1c(50, stem_channels=4, base_channels=2, multi_grid=grid) for grid in (None, (1, 1, 1)))
    assert str(plain) == str(ones)
    for wrong in ((1, 2), (1, 2, 0)):
        with pytest.raises(ModelError, match="a factor for each block"):
            ResNetV1c(50, multi_grid=wrong)


def test_more_than_one_auxiliary_head():
    heads = [
        {
            "type": "FCNHead",
            "in_channels": width,
            "in_index": index,
            "channels": 2,
            "num_convs": 1,
            "concat_input": False,
        }
        for index, width in ((1, 4), (2, 8))
    ]
    settings = {
        "type": "EncoderDecoder",
        "backbone": {"type": "ResNet", "depth": 18, "stem_channels": 2, "base_channels": 2},
        "decode_head": {**heads[0], "in_channels": 16, "in_index": 3},
        "auxiliary_head": heads,
    }
    losses = build_model(settings).losses(torch.zeros(2, 3, 32, 32), torch.zeros(2, 32, 32, dtype=torch.int64))
    assert [name for name in losses if "loss" in name] == ["decode.loss_ce", "aux_0.loss_ce", "aux_1.loss_ce"]
