"""The device's own dropout, asked for beside a step whose masks come from the host."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness.recording.dropout import OWN_DROPOUT, HostDropout
from harness.shadow.by_program.dropping import OwnDropout
from harness.shadow.evidence.checks import Part
from harness.shadow.judging.operations import weigh_check
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps


class Dropping(nn.Module):
    """Two heads, each with a dropout of channels of its own, and one of elements."""

    def __init__(self):
        super().__init__()
        self.head = nn.Dropout2d(0.1)
        self.auxiliary = nn.Dropout2d(0.1)
        self.flat = nn.Dropout(0.5)

    def forward(self, x):
        return self.flat(self.head(x) + self.auxiliary(x))


def asked(model, x):
    """The mode under which the device was asked for what a step of the model drops; all checks are among the mode's."""
    where = CallSites(model)
    mode = ShadowOps(where, 0, "fp32")
    with HostDropout(), where.following(), OwnDropout(where, 0) as dropout:
        model(x)
        with mode:
            checks = dropout.ask(mode)
    mode.checks += checks
    return mode


def violated(mode):
    return {(check.module, check.op, check.tensor) for check in mode.checks if weigh_check(check, "fp32").violated}


def test_each_distinct_dropout_is_asked_for_once_and_a_right_one_passes():
    mode = asked(Dropping(), torch.ones(2, 4, 3, 3))
    draws = [(check.module, check.op) for check in mode.checks if check.tensor == "distribution"]
    assert draws == [("head", "bernoulli_"), ("flat", "bernoulli_"), ("head", "dropout2d"), ("flat", "dropout")]
    assert {check.part for check in mode.checks} >= {Part.RANDOM, Part.FORWARD, Part.BACKWARD}
    assert not violated(mode)
    assert not mode.unchecked


def other_rate(x, p, training):
    return OWN_DROPOUT["dropout3d"](x[..., None], 0.2, training)[..., 0] * (0.8 / 0.9)


def not_scaled(x, p, training):
    return OWN_DROPOUT["dropout3d"](x[..., None], p, training)[..., 0] * (1 - p)


def gradient_of_another_mask(x, p, training):
    made = OWN_DROPOUT["dropout3d"](x[..., None], p, training)[..., 0]
    return made.detach() + (x - x.detach()) * made.detach().flip(0)


@pytest.mark.parametrize(
    ("wrong", "tensors"),
    [
        (other_rate, {"distribution"}),
        (not_scaled, {"output", "input gradient"}),
        (gradient_of_another_mask, {"input gradient"}),
    ],
)
def test_a_wrong_one_is_found_and_named(monkeypatch, wrong, tensors):
    monkeypatch.setitem(OWN_DROPOUT, "dropout2d", wrong)
    assert violated(asked(Dropping(), torch.ones(2, 4, 3, 3))) == {("head", "dropout2d", tensor) for tensor in tensors}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("p", [1e-3, 0.05, 0.3, 0.5, 0.9])
def test_a_right_one_passes_at_any_rate_and_precision(dtype, p):
    model = Dropping()
    model.head.p = model.auxiliary.p = model.flat.p = p
    assert not violated(asked(model, torch.ones(2, 4, 3, 3, dtype=dtype)))


def test_nothing_of_it_is_left_behind():
    present, x = F.dropout2d, torch.ones(2, 4, 3, 3)
    state = torch.get_rng_state()
    with HostDropout():
        Dropping()(x)
    after = torch.get_rng_state()
    torch.set_rng_state(state)
    asked(Dropping(), x)
    assert torch.equal(torch.get_rng_state(), after)
    assert F.dropout2d is present


def test_evaluation_and_a_rate_of_nothing_ask_for_nothing():
    model = Dropping()
    assert not asked(model.eval(), torch.ones(2, 4, 3, 3)).checks
    model.train()
    model.head.p = model.auxiliary.p = model.flat.p = 0.0
    assert not asked(model, torch.ones(2, 4, 3, 3)).checks


def test_a_device_without_dropout_is_told_of_and_counts_as_not_checked(monkeypatch):
    def refuse(*_, **__):
        raise NotImplementedError("no kernel for 'bernoulli_'\nand more")

    monkeypatch.setitem(OWN_DROPOUT, "dropout2d", refuse)
    mode = asked(Dropping(), torch.ones(2, 4, 3, 3))
    assert [(call.op, call.module) for call in mode.unchecked] == [("dropout2d", "head")]
    assert "no kernel for" in mode.skipped["dropout2d"]
    assert "and more" not in mode.skipped["dropout2d"]
    assert mode.calls["dropout2d"] == 1
    assert mode.checked["dropout2d"] == 0
