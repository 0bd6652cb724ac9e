"""Healthy training steps of programs that do what a segmentation model seldom does: none is called, none crashes."""

import math
from collections import namedtuple

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness.shadow.arithmetic.kinds import read_operation
from harness.shadow.arithmetic.randomness import Draw
from harness.shadow.judging.operations import judge_shadow, weigh_shadow
from harness.shadow.model_sources import LoneModel
from harness.shadow.model_steps import Training, shadow_steps
from harness.values.verdict import Outcome

Pair = namedtuple("Pair", "image mask")


class Program(nn.Module):
    """What a function makes of modules and inputs."""

    def __init__(self, function, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.function = function

    def forward(self, *args):
        return self.function(self, *args)


def step(function, *args, optimizer="SGD", tier="fp32", dtype=torch.float32, loss=None, **parts):
    """The failures of two shadowed steps on the host, and their record."""
    torch.manual_seed(0)
    program = Program(function, **parts)
    program = program if dtype is torch.float32 else program.to(dtype)
    model = LoneModel("a program", program.train(), args, {}, loss or (lambda out: out.float().square().mean()))
    record, _ = shadow_steps(model, "cpu", Training(optimizer, {"lr": 0.01}, "", 2, tier))
    failed = [f.message for f in judge_shadow(weigh_shadow(record, tier)) if f.status is Outcome.FAIL]
    return failed, record


def x(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)


NOISE = {
    "uniform from below zero": lambda h: h + torch.empty_like(h).uniform_(-1.0, 1.0),
    "uniform up to three": lambda h: h + torch.empty_like(h).uniform_(0, 3),
    "normal about two": lambda h: h + torch.empty_like(h).normal_(2.0),
    "normal and wide": lambda h: h + torch.empty_like(h).normal_(std=3.0),
    "chances of a tensor's own": lambda h: h * torch.bernoulli(torch.linspace(0, 0.4, h.numel()).view_as(h)),
    "chances of a tensor": lambda h: h * torch.empty_like(h).bernoulli_(torch.full_like(h, 0.9)),
    "one chance": lambda h: h * torch.empty_like(h).bernoulli_(0.8),
}


@pytest.mark.parametrize("name", NOISE)
def test_a_draw_is_held_to_what_it_was_asked_for(name):
    failed, record = step(lambda self, x: NOISE[name](self.layer(x)), x(64, 16), layer=nn.Linear(16, 64))
    assert failed == []
    assert any(check.tensor == "distribution" for check in record.checks)


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("uniform_", (-1.0,)),
        ("normal_", (2.0,)),
        ("bernoulli_", (torch.full((4096,), 0.9),)),
    ],
)
def test_a_draw_from_another_distribution_is_called(op, args):
    op = getattr(torch.ops.aten, op)
    overload = op.Tensor if isinstance(args[0], torch.Tensor) else op.default
    draw = Draw(overload, read_operation(overload), (torch.zeros(4096), *args), {})
    made = draw.run()
    off = {entry.name: entry.distance for entry in draw.check(made)[1]}["distribution"]
    assert off.error < 6 / math.sqrt(4096)
    off = {entry.name: entry.distance for entry in draw.check(made * 0.7 + 0.3)[1]}["distribution"]
    assert off.error > 6 / math.sqrt(4096)


@pytest.mark.parametrize(
    "function",
    [
        lambda self, x: (self.layer(x) / 0.0).nan_to_num(),
        lambda self, x: self.layer(x).nan_to_num(posinf=3.0) + (x[:, :1] / 0.0).nan_to_num(nan=1.0).clamp(-1, 1),
        lambda self, x: self.layer(x) + torch.isin(self.layer(x).clamp(-0.7, 0.7), 0.7),
        lambda self, x: self.layer(x) + (torch.tensor(0.7, dtype=torch.float64) > self.layer(x).clamp(-0.7, 0.7)),
        lambda self, x: self.layer(x) + torch.nextafter(x[:, :1], x[:, 1:2]),
        lambda self, x: F.dropout(torch.cat([self.layer(x), torch.full_like(x, math.nan)], 1), 0.3).nansum(1),
    ],
)
def test_what_depends_on_the_dtypes_own_numbers_is_computed_in_it(function):
    assert step(function, x(32, 16), layer=nn.Linear(16, 8))[0] == []


def test_what_a_ctc_loss_keeps_for_its_backward_is_not_judged():
    def loss(scores):
        lengths = torch.full((4,), 5)
        return F.ctc_loss(scores.log_softmax(-1), torch.randint(1, 7, (4, 5)), torch.full((4,), 12), lengths)

    assert step(lambda self, x: self.layer(x), x(12, 4, 16), loss=loss, layer=nn.Linear(16, 7))[0] == []


def test_a_gradient_that_is_only_asked_for_is_not_accumulated():
    def with_penalty(self, x):
        x = x.clone().requires_grad_()
        out = self.second(torch.tanh(self.first(x)))
        (of_input,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        of_weights = torch.autograd.grad(out.sum(), [self.first.weight], create_graph=True)
        return out + of_input.square().sum() + of_weights[0].square().sum()

    parts = {"first": nn.Linear(16, 8), "second": nn.Linear(8, 4)}
    failed, record = step(with_penalty, x(8, 16), **parts)
    assert failed == []
    assert any(check.op == "accumulate" for check in record.checks)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_hook_on_accumulated_gradients_is_the_programs_own(at_once):
    """To hold one gradient at a time, a hook updates the parameter and lets go of its gradient."""
    layer = nn.Linear(16, 8)
    optimizers = {parameter: torch.optim.SGD([parameter], lr=0.01) for parameter in layer.parameters()}

    def update(parameter):
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    def clip(parameter):
        parameter.grad.clamp_(-1e-3, 1e-3)

    for parameter in layer.parameters():
        parameter.register_post_accumulate_grad_hook(update if at_once else clip)
    failed, record = step(lambda self, x: self.layer(x), x(4, 16), layer=layer)
    assert failed == []
    assert sum(check.op == "accumulate" for check in record.checks) == 4


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_weights_that_the_program_changes_in_its_forward_are_updated_from_there(optimizer):
    def clamped(self, x):
        with torch.no_grad():
            self.scale.clamp_(max=0.5)
        return self.layer(x) * self.scale

    parts = {"layer": nn.Linear(16, 8), "scale": nn.Parameter(torch.tensor([3.0]))}
    assert step(clamped, x(8, 16), optimizer=optimizer, **parts)[0] == []
    tokens = torch.randint(20, (8, 6))
    embedding = nn.Embedding(20, 8, max_norm=0.5)
    assert step(lambda self, t: self.embedding(t), tokens, optimizer=optimizer, embedding=embedding)[0] == []


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_weights_that_overflow_are_no_kernels_fault(optimizer):
    failed, _ = step(
        lambda self, x: self.layer(x * 1e30),
        x(8, 16),
        optimizer=optimizer,
        layer=nn.Linear(16, 8),
        loss=lambda out: out.square().sum(),
    )
    assert [said for said in failed if optimizer in said] == []


@pytest.mark.parametrize(
    ("optimizer", "dtype"),  # PyTorch's Adam divides by zero in float16, where its squares vanish
    [("SGD", torch.float16), ("SGD", torch.bfloat16), ("Adam", torch.bfloat16), ("AdamW", torch.bfloat16)],
)
def test_parameters_in_half_precision(optimizer, dtype):
    parts = {"first": nn.Linear(16, 8), "norm": nn.LayerNorm(8), "second": nn.Linear(8, 4)}
    failed, _ = step(
        lambda self, x: self.second(self.norm(self.first(x))),
        x(8, 16, dtype=dtype),
        optimizer=optimizer,
        dtype=dtype,
        **parts,
    )
    assert failed == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_what_the_hosts_own_kernels_add_up_in_half_precision(dtype):
    tokens = torch.randint(3, (64, 32), generator=torch.Generator().manual_seed(2))
    failed, _ = step(lambda self, t: self.embedding(t).tanh(), tokens, dtype=dtype, embedding=nn.Embedding(3, 8))
    assert failed == []


def test_a_query_that_sees_no_key_gets_nothing():
    mask = torch.ones(2, 1, 6, 6, dtype=torch.bool).tril()
    mask[0, :, 2] = False

    def attend(self, x):
        heads = self.layer(x).view(2, 6, 2, 8).transpose(1, 2)
        return F.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask)

    assert step(attend, x(2, 6, 16), layer=nn.Linear(16, 16))[0] == []


class Scripted(nn.Module):
    def forward(self, x):
        return torch.relu(x) * 2


@pytest.mark.parametrize(
    ("function", "args", "parts"),
    [
        (lambda self, t: self.e(t), (torch.randint(20, (8, 6)),), {"e": nn.Embedding(20, 8, sparse=True)}),
        (
            lambda self, x: torch.sparse.mm(torch.eye(8).to_sparse(), self.layer(x)),
            (x(8, 16),),
            {"layer": nn.Linear(16, 4)},
        ),
        (
            lambda self, x: self.a(x).mean() + self.b(x[:0]).sum(),
            (x(2, 3, 8, 8),),
            {"a": nn.Conv2d(3, 4, 3), "b": nn.Conv2d(3, 4, 3)},
        ),
        (
            lambda self, pair: self.layer(pair.image) * pair.mask,
            (Pair(x(8, 16), x(8, 1)),),
            {"layer": nn.Linear(16, 4)},
        ),
        (lambda self, batch: self.layer(batch[0]["x"]), (({"x": x(8, 16)},),), {"layer": nn.Linear(16, 4)}),
        (
            lambda self, x: self.act(self.layer(x)),
            (x(8, 16),),
            {"layer": nn.Linear(16, 4), "act": torch.jit.script(Scripted())},
        ),
        (
            lambda self, x: (x.to(torch.complex64) @ self.w).abs(),
            (x(8, 16),),
            {"w": nn.Parameter(torch.randn(16, 4, dtype=torch.complex64))},
        ),
    ],
    ids=[
        "sparse gradients",
        "a sparse product",
        "no sample",
        "a named tuple",
        "a dict in a tuple",
        "a script",
        "complex",
    ],
)
def test_it_is_stepped_and_not_called(function, args, parts):
    failed, record = step(function, *args, **parts)
    assert failed == []
    assert record.checks


@pytest.mark.parametrize(
    ("op", "args"),
    [("uniform_", (0.99, 1.01)), ("uniform_", (0.3, 0.3)), ("normal_", (0.1, 0.0)), ("uniform_", (1 - 1e-7, 1 + 1e-7))],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_draw_is_one_of_the_dtypes_numbers(op, args, dtype):
    op = getattr(torch.ops.aten, op).default
    draw = Draw(op, read_operation(op), (torch.zeros(4096, dtype=dtype), *args), {})
    off = {entry.name: entry.distance for entry in draw.check(draw.run())[1]}["distribution"]
    assert off.error < 6 / math.sqrt(4096)


def test_weights_that_the_program_replaces_are_updated_from_there():
    def rounded(self, x):
        self.layer.weight.data = (self.layer.weight * 8).round() / 8
        return self.layer(x)

    assert step(rounded, x(8, 16), optimizer="Adam", layer=nn.Linear(16, 8))[0] == []


def test_a_tangent_that_is_nothing_is_compared():
    def tangent(self, x):
        made, along = torch.func.jvp(lambda z: self.layer(z).sin(), (x,), (torch.ones_like(x),))
        return made + along

    assert step(tangent, x(8, 16), layer=nn.Linear(16, 8))[0] == []
