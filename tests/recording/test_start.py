"""Whose weights a run starts from: a checkpoint's stay, the rest is generated."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModule

from harness.recording.start import GENERATED, LOADED, StartHook, pretrained_parts
from harness.values.errors import CaseError


class Net(BaseModule):
    def __init__(self, init_cfg=None):
        super().__init__()
        self.backbone = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        self.head = BaseModule(init_cfg)
        self.head.conv = torch.nn.Conv2d(4, 2, 1)
        self.head.register_buffer("positions", torch.arange(6).view(2, 3))
        self.head.register_buffer("table", torch.rand(2, 2))


def started(model, given=(), load_from=None):
    told = []
    runner = SimpleNamespace(model=model, _load_from=load_from, _resume=False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    StartHook(0, {}, given, lambda _runner, _model, words: told.append(words)).before_train(runner)
    after = model.state_dict()
    return told[0], {name for name in before if not torch.equal(before[name], after[name])}


CONVOLUTIONS = {"backbone.0.weight", "backbone.0.bias", "head.conv.weight", "head.conv.bias"}


def test_without_a_checkpoint_all_weights_are_generated_and_no_table_is_touched():
    told, changed = started(Net())
    assert told == GENERATED
    assert changed == CONVOLUTIONS, "a norm's weights and statistics start as they are generated"


def test_a_pretrained_part_keeps_its_weights():
    told, changed = started(Net(), given=("backbone",))
    assert told == "generated, but a checkpoint's in backbone"
    assert changed == {"head.conv.weight", "head.conv.bias"}


def test_a_part_that_says_itself_that_it_loads_a_file_keeps_its_weights():
    told, changed = started(Net(init_cfg=[{"type": "Pretrained", "checkpoint": "head.pth"}]))
    assert told == "generated, but a checkpoint's in head"
    assert changed == {"backbone.0.weight", "backbone.0.bias"}


@pytest.mark.parametrize("arguments", [{"given": ("",)}, {"load_from": "all.pth"}, {"given": ("", "head")}])
def test_a_whole_checkpoint_is_kept_whole(arguments):
    assert started(Net(), **arguments) == (LOADED, set())


def test_a_part_that_the_model_has_under_no_such_name_is_refused():
    with pytest.raises(CaseError) as caught:
        started(Net(), given=("neck.inner",))
    assert "model.neck.inner" in str(caught.value)


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({"type": "A", "backbone": {"type": "ResNet", "checkpoint": None, "pretrained": False}}, ()),
        ({"type": "A", "pretrained": "open-mmlab://resnet50_v1c", "backbone": {"type": "ResNet"}}, ("backbone",)),
        ({"type": "A", "backbone": {"type": "TIMMBackbone", "pretrained": True}}, ("backbone",)),
        ({"type": "A", "backbone": {"init_cfg": {"type": "Pretrained", "checkpoint": "a.pth"}}}, ("backbone",)),
        ({"type": "A", "backbone": {"init_cfg": {"type": "Kaiming", "layer": "Conv2d"}}}, ()),
        ({"type": "A", "heads": [{"type": "H"}, {"init_cfg": [{"type": "Pretrained"}]}]}, ("heads.1",)),
        ({"type": "A", "init_cfg": {"type": "Pretrained"}, "backbone": {"pretrained": "b.pth"}}, ("",)),
        ({"type": "A", "image": {"encoder": {"checkpoint": "clip.pth"}}, "image2": {}}, ("image.encoder",)),
    ],
)
def test_the_parts_that_a_config_gives_weights_are_found(config, parts):
    assert pretrained_parts(config) == parts
