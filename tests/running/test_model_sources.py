"""A model that is no case: by a function of the user's, trained and shadowed; or why it can't be."""

import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from harness.shadow.judging.operations import judge_shadow, weigh_shadow
from harness.shadow.model_sources import Request, build_model
from harness.shadow.model_steps import Training, shadow_steps
from harness.values.errors import ModelError, UsageError
from harness.values.verdict import Outcome


@pytest.fixture
def mine(monkeypatch):
    """A module of the user's with functions that make models."""
    module = ModuleType("mine")

    def net(batch=2, width=8):
        layers = [nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(width, 4)), torch.randn(batch, 3, 8, 8)

    def named():
        class Scaled(nn.Linear):
            def forward(self, x, scale):
                return {"hidden": super().forward(x) * scale, "kept": x}

        return Scaled(4, 3), {"x": torch.randn(2, 5, 4), "scale": torch.tensor(2.0)}

    def with_loss():
        return nn.Linear(4, 1), (torch.randn(3, 4),), lambda y: y.square().sum()

    class Last(nn.Module):
        def forward(self, returned):
            return returned[1][-1]

    def packed():
        sequences = nn.utils.rnn.pack_sequence([torch.randn(length, 4) for length in (5, 3, 2)])
        return nn.Sequential(nn.RNN(4, 6), Last()), sequences

    def lazy():
        return nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.LazyLinear(3)), torch.randn(4, 5)

    def lazy_with_an_index_too_large():
        return nn.Sequential(nn.Embedding(3, 2), nn.LazyLinear(3)), torch.tensor([[7]])

    vars(module).update(net=net, named=named, with_loss=with_loss, nothing=lambda: 5, other=nn.Linear)
    vars(module).update(packed=packed, lazy=lazy, lazy_with_an_index_too_large=lazy_with_an_index_too_large)
    monkeypatch.setitem(sys.modules, "mine", module)
    return module


@pytest.mark.parametrize("function", ["net", "named", "with_loss", "packed", "lazy"])
def test_a_function_of_the_users_gives_a_model_that_is_shadowed(mine, function):
    model = build_model(Request(f"mine:{function}", {}))
    record, trace = shadow_steps(model, "cpu", Training("AdamW", {"lr": 1e-2}, steps=2, tier="fp32"))
    assert trace.complete
    assert record.iterations == (0, 1)
    findings = judge_shadow(weigh_shadow(record, "fp32"))
    assert [finding.status for finding in findings] == [Outcome.PASS], findings
    assert {check.part.value for check in record.checks} >= {"forward", "backward", "optimizer", "reduce"}


def test_a_lazy_model_that_refuses_its_inputs_says_so(mine):
    with pytest.raises(ModelError, match="the model can't be built") as refused:
        build_model(Request("mine:lazy_with_an_index_too_large", {}))
    assert "IndexError" in str(refused.value)


def test_options_and_batch_are_given_to_the_function(mine):
    model = build_model(Request("mine:net", {"width": 6}, batch=3))
    assert model.args[0].shape[0] == 3
    assert model.module[0].out_channels == 6


def test_mixed_precision_with_an_optimizer_that_is_not_known(mine):
    model = build_model(Request("mine:net", {}))
    record, _ = shadow_steps(model, "cpu", Training("Rprop", {"lr": 1e-2}, "bf16", tier="fp32"))
    assert "Rprop" in record.coverage.skipped
    assert {check.dtype for check in record.checks} >= {"bfloat16", "float32"}


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("resnet18", UsageError, "told by where it is from"),
        ("no_such_module:net", UsageError, "can't be imported"),
        ("mine:missing", ModelError, "can't be built"),
        ("mine:nothing", ModelError, "returns no model"),
        ("mine:other", ModelError, "can't be built"),
    ],
)
def test_what_is_no_model_is_refused(mine, spec, error, said):
    with pytest.raises(error, match=said):
        build_model(Request(spec, {}))


def test_a_training_that_can_not_be_is_refused(mine):
    model = build_model(Request("mine:net", {}))
    with pytest.raises(UsageError, match="no such optimizer"):
        shadow_steps(model, "cpu", Training("Descent"))
    with pytest.raises(UsageError, match="doesn't take these options"):
        shadow_steps(model, "cpu", Training("SGD", {"speed": 3}))
    wrong = build_model(Request("mine:net", {}))
    with pytest.raises(ModelError, match="ends in an error"):
        shadow_steps(type(wrong)(wrong.name, wrong.module, (torch.ones(2),), {}, wrong.loss), "cpu", Training())
