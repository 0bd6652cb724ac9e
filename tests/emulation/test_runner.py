"""mmengine's own Runner on the emulated device."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import sys, warnings
import torch
from harness.lab.emulation import install
install("exact")
import mmengine.device.utils
mmengine.device.utils.DEVICE = "sdaa"
from mmengine.model import BaseModel
from mmengine.runner import Runner
from tests.emulation.small_net import SmallNet
from torch.nn import functional

class Drawn(torch.utils.data.Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return {"x": torch.randn(3, 32, 32, generator=generator),
                "labels": torch.randint(0, 5, (32, 32), generator=generator)}

class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.net = SmallNet()
    def forward(self, x, labels, mode):
        assert x.device.type == "sdaa"
        return {"loss": functional.cross_entropy(self.net(x), labels)}

runner = Runner(
    Model(), sys.argv[1],
    train_dataloader=dict(dataset=Drawn(), batch_size=2, num_workers=1,
                          sampler=dict(type="DefaultSampler", shuffle=True), collate_fn=dict(type="default_collate")),
    train_cfg=dict(type="IterBasedTrainLoop", max_iters=3),
    optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.01, momentum=0.9)),
    default_hooks=dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=3)),
)
runner.train()
saved = torch.load(sys.argv[1] + "/iter_3.pth", map_location="cpu", weights_only=False)["state_dict"]
assert all(torch.equal(saved[k], v.cpu()) for k, v in runner.model.state_dict().items())
assert next(runner.model.parameters()).device.type == "sdaa"
"""


def test_the_runner_trains_and_saves(python, tmp_path) -> None:
    done = python(SCRIPT, str(tmp_path / "work"))
    assert done.returncode == 0, done.stderr[-3000:]
