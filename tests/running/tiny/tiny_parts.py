"""A model and a data set that train in milliseconds: what a user's own config may bring along."""

import atexit
import builtins
import os
import time
from pathlib import Path

import torch
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from torch.utils.data import Dataset


@MODELS.register_module()
class TinySegmentor(BaseModel):
    """A convolution, a normalization, dropout, a classifier; two losses."""

    def __init__(self, trouble="", data_preprocessor=None):
        super().__init__(data_preprocessor=data_preprocessor)
        self.trouble = trouble
        self.calls = 0
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.bn = torch.nn.BatchNorm2d(8)
        self.dropout = torch.nn.Dropout2d(0.1)
        self.conv_seg = torch.nn.Conv2d(8, 4, 1)

    def forward(self, inputs, labels, mode="loss"):
        self.calls += self.training
        time.sleep(float(os.environ.get("TINY_SECONDS", "0")))  # no setting: the experiment stays the same
        if self.training and self.calls == 4:
            make_trouble(self.trouble)
        if self.trouble == "abort-at-the-end" and os.environ["RANK"] == "1" and "kept" not in vars(builtins):
            vars(builtins)["kept"] = AbortsWhenTornDown()
        if self.trouble == "think" and self.training and self.calls == 4:
            for _ in range(12):  # six seconds, of which no operation takes more than a half
                time.sleep(0.5)
                inputs = inputs + 0
        if self.trouble == "draw":  # from the device's own generator: beneath the functions that are replaced
            inputs = inputs + 0 * torch.ops.aten.rand([1], device=inputs.device)
        x = torch.relu(self.bn(self.conv(inputs.to(self.conv.weight.dtype))))
        logits = torch.nn.functional.interpolate(self.conv_seg(self.dropout(x)), scale_factor=2, mode="bilinear")
        target = labels.repeat_interleave(2, 1).repeat_interleave(2, 2)
        loss = torch.nn.functional.cross_entropy(logits, target)
        if self.trouble == "nan" and self.calls == 4:
            loss = loss * float("nan")
        return {
            "decode.loss_ce": loss,
            "aux.loss_ce": 0.4 * loss.detach() + 0.0 * loss,
            "decode.acc_seg": loss * 0 + 50,
        }


def make_trouble(kind):
    if os.environ.get("RANK") == "1":
        kind = kind.removeprefix("rank-1-")
    if kind == "hang":
        time.sleep(600)
    if kind == "crash":
        raise RuntimeError("the kernel fell over")
    if kind == "kill":
        os.kill(os.getpid(), 9)
    if kind == "exit":
        os._exit(0)
    if kind == "print":
        for _ in range(300):
            print("x" * 99_999)
    if kind.startswith("daemon"):
        start_daemon()
    if kind == "daemon-then-hang":
        time.sleep(600)


class AbortsWhenTornDown:
    """What a library's thread does that needs Python when Python is gone."""

    def __init__(self):
        atexit.register(print, "what was registered ran")

    def __del__(self):
        os.abort()


def start_daemon():
    """A process that is nobody's child and of no one's session, as a service of a library may be."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    Path(os.environ["TINY_DAEMON"]).write_text(str(os.getpid()))
    time.sleep(600)
    os._exit(0)


@DATASETS.register_module()
class TinyDataset(Dataset):
    """Forty images of noise, each with a label that follows from it."""

    def __init__(self, data_seed=0):
        generator = torch.Generator().manual_seed(data_seed)
        self.images = torch.randint(0, 256, (40, 3, 12, 16), generator=generator).float() / 128 - 1
        self.labels = (self.images.mean(1) > 0).long() + 2 * (self.images[:, 0] > 0).long()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"inputs": self.images[index], "labels": self.labels[index]}
