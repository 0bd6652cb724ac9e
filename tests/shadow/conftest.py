"""A small net, a step of it under shadow ops, and devices that compute wrongly."""

import runpy
import sys
from contextlib import ExitStack

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness.shadow.evidence.checks import Coverage, ShadowRecord
from harness.shadow.judging.operations import weigh_shadow
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps


class Net(nn.Module):
    """Convolution, norm, attention, upsampling and a loss: a segmentation net in small."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=2, dilation=2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, x, labels):
        x = self.stem(x)
        x = x + self.block(nn.functional.max_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3))
        flat = x.flatten(2)
        affinity = torch.softmax(flat.transpose(1, 2) @ flat / 8**0.5, dim=-1)
        x = x + (flat @ affinity.transpose(1, 2)).view_as(x)
        logits = nn.functional.interpolate(self.head(x), scale_factor=2, mode="bilinear", align_corners=False)
        return nn.functional.cross_entropy(logits, labels, ignore_index=255)


class Wrong(TorchDispatchMode):
    """A device on which one operation is wrong: its result is changed by a function of results and arguments."""

    def __init__(self, name, change, call=None):
        super().__init__()
        self.name, self.change, self.call, self.seen = name, change, call, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func._schema.name != f"aten::{self.name}":
            return out
        self.seen += 1
        return self.change(out, *args) if self.call in {None, self.seen - 1} else out


@pytest.fixture
def wrong():
    """The class of devices on which one operation is wrong."""
    return Wrong


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    labels = torch.randint(0, 5, (2, 16, 16))
    labels[0, :3] = 255
    return torch.randn(2, 3, 8, 8), labels


@pytest.fixture
def shadowed(net, batch):
    """Shadow a step of the net; on a wrong device where one is given. Answers the mode."""

    def run(wrong=None, tier="fp32", optimizer=None, forward=None, iteration=0, **settings):
        optimizer = optimizer or torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        where = CallSites(net)
        mode = ShadowOps(where, iteration, tier, **settings)
        with ExitStack() as stack:
            if wrong is not None:
                stack.enter_context(wrong)
            stack.enter_context(where.following())
            stack.enter_context(mode)
            loss = (forward or net)(*batch)
            loss.backward()
            with where.optimizing():
                optimizer.step()
            optimizer.zero_grad()
        return mode

    return run


@pytest.fixture
def violations():
    """The rows that a healthy kernel doesn't have, of a mode's checks."""

    def weigh(mode, tier="fp32"):
        record = ShadowRecord((0,), tuple(mode.checks), Coverage(dict(mode.calls), dict(mode.checked), mode.skipped))
        return weigh_shadow(record, tier).violations

    return weigh


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "reproduce"


@pytest.fixture
def again(folder, monkeypatch, capsys):
    """Runs a program of the folder as a user would: its variables, and what it prints."""

    def run(number=1):
        monkeypatch.setattr(sys, "argv", [f"{number}.py", "--device", "cpu"])
        values = runpy.run_path(str(folder / f"{number}.py"), run_name="program")
        return values, capsys.readouterr().out

    return run
