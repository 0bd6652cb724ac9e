"""What a config leaves to the classes that it names."""

import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from harness.running.defaults_of_config import default_settings


class Base(torch.nn.Module):
    def __init__(self, width=8, depth=2, act_cfg=dict(type="ReLU"), given=None):  # noqa: B006, C408  # as they write
        super().__init__()


@MODELS.register_module(name="PartOfATest", force=True)
class Part(Base):
    def __init__(self, loss, width=4, sizes=(1, 2), dtype=torch.float32, **kwargs):
        super().__init__(**kwargs)


CONFIG = {
    "model": {"type": "Unknown", "head": {"type": "PartOfATest", "width": 3}},
    "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}},
    "train_dataloader": {"dataset": {"pipeline": [{"type": "Unknown"}]}, "sampler": {"type": "InfiniteSampler"}},
}


def test_defaults_are_those_of_a_class_and_of_those_it_hands_on_to():
    head = {name: text for name, text in default_settings(Config(CONFIG)).items() if name.startswith("model.head.")}
    assert head == {
        "model.head.width": "4",
        "model.head.sizes": "[1, 2]",
        "model.head.depth": "2",
        "model.head.act_cfg.type": "'ReLU'",
        "model.head.given": "None",
    }


def test_optimizers_samplers_and_wrappers_have_theirs():
    found = default_settings(Config(CONFIG))
    assert found["optim_wrapper.optimizer.momentum"] == "0"
    assert found["optim_wrapper.accumulative_counts"] == "1"
    assert found["train_dataloader.sampler.shuffle"] == "True"


def test_a_library_that_is_not_there_has_none():
    assert default_settings(Config({"default_scope": "nowhere", "model": {"type": "Unknown", "depth": 1}})) == {}
