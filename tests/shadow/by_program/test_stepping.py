"""The optimizer's step by program, held against float64's update."""

import math
from inspect import signature

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from harness.shadow.by_program.stepping import StepProgram
from harness.shadow.evidence.checks import Coverage, ShadowRecord
from harness.shadow.judging.operations import weigh_shadow

DECOUPLED = {"decoupled_weight_decay": True} if "decoupled" in str(signature(torch.optim.Adam)) else {}
"""Adam has it since PyTorch 2.7."""

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-2),
    "SGD without momentum": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=1e-2),
    "SGD dampened": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=1e-2),
    "SGD nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "SGD maximizing": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, maximize=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-2, weight_decay=1e-2),
    "Adam amsgrad": lambda p: torch.optim.Adam(p, lr=1e-2, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=1e-1),
    "Adam decoupled": lambda p: torch.optim.Adam(p, lr=1e-2, weight_decay=1e-1, **DECOUPLED),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=1e-2, weight_decay=1e-2),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=1e-2, weight_decay=1e-2),
    "NAdam decoupled": lambda p: torch.optim.NAdam(p, lr=1e-2, weight_decay=1e-1, decoupled_weight_decay=True),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=1e-2, weight_decay=1e-2),
    "RAdam rectified": lambda p: torch.optim.RAdam(p, lr=1e-2, betas=(0.9, 0.6)),
    "RAdam decoupled": lambda p: torch.optim.RAdam(p, lr=1e-2, weight_decay=1e-1, decoupled_weight_decay=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-2, weight_decay=1e-2),
    "RMSprop with momentum": lambda p: torch.optim.RMSprop(p, lr=1e-2, momentum=0.9, maximize=True),
    "RMSprop centered": lambda p: torch.optim.RMSprop(p, lr=1e-2, alpha=0.9, momentum=0.5, centered=True),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=1e-2, lr_decay=0.1, weight_decay=1e-2),
    "Adagrad started": lambda p: torch.optim.Adagrad(p, lr=1e-2, initial_accumulator_value=0.1),
    "Adadelta": lambda p: torch.optim.Adadelta(p, lr=1.0, weight_decay=1e-2),
}


STATES = {
    "SGD": ("momentum_buffer",),
    "AdamW": ("exp_avg", "exp_avg_sq"),
    "Adam amsgrad": ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
    "Adamax": ("exp_avg", "exp_inf"),
    "NAdam": ("exp_avg", "exp_avg_sq", "mu_product"),
    "RAdam": ("exp_avg", "exp_avg_sq"),
    "RMSprop centered": ("square_avg", "grad_avg", "momentum_buffer"),
    "Adagrad": ("sum",),
    "Adadelta": ("square_avg", "acc_delta"),
}


class OwnSGD(torch.optim.SGD):
    """A user's own."""


class SGD(torch.optim.SGD):
    """A user's own, of a name that PyTorch has too."""


def violated(checks, tier="fp32"):
    return weigh_shadow(ShadowRecord((0,), tuple(checks), Coverage()), tier).violations


def take_steps(wrapper, net, steps=3, tamper=lambda optimizer: None, before=lambda optimizer: None):
    """The program's checks of the last of a few steps, with something done to it before or after the update."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    groups = [{k: v for k, v in group.items() if k != "params"} for group in wrapper.param_groups]
    torch.manual_seed(2)
    for step in range(steps):
        program = StepProgram(wrapper, names, step, groups, None)
        program.before()
        loss = net(torch.randn(16, 6)).square().mean()
        wrapper.zero_grad()
        wrapper.backward(loss)
        program.after_backward()
        if step == steps - 1:
            before(wrapper.optimizer)
        wrapper.step()
        if step == steps - 1:
            tamper(wrapper.optimizer)
    return list(program.after())


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))


class TestStep:
    @pytest.mark.parametrize("name", OPTIMIZERS)
    @pytest.mark.parametrize("clip", [None, {"max_norm": 0.05}, {"type": "value", "clip_value": 1e-3}])
    def test_a_healthy_step_is_as_float64_makes_it(self, net, name, clip):
        wrapper = OptimWrapper(OPTIMIZERS[name](net.parameters()), clip_grad=clip and dict(clip))
        checks = take_steps(wrapper, net)
        assert len(checks) >= 4
        assert violated(checks) == ()

    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_a_step_a_thousandth_longer_is_found(self, net, name):
        wrapper = OptimWrapper(OPTIMIZERS[name](net.parameters()))

        def longer(optimizer):
            for group in optimizer.param_groups:
                group["lr"] *= 1.001

        def shorter(optimizer):
            for group in optimizer.param_groups:
                group["lr"] /= 1.001

        found = violated(take_steps(wrapper, net, before=longer, tamper=shorter))
        assert {row.module for row in found} == {"0", "2"}
        assert all("update" in row.tensor for row in found)

    def test_a_decay_that_skips_one_layer_is_found_there_alone(self, net):
        wrapper = OptimWrapper(OPTIMIZERS["SGD"](net.parameters()))

        def skip(optimizer):
            with torch.no_grad():
                net[2].weight.grad.add_(net[2].weight, alpha=-1e-2)

        found = violated(take_steps(wrapper, net, before=skip))
        assert {(row.module, row.tensor) for row in found} == {("2", "weight update"), ("2", "weight momentum buffer")}

    def test_a_parameter_that_is_left_alone_is_found(self, net):
        wrapper = OptimWrapper(OPTIMIZERS["SGD"](net.parameters()))
        kept = {}

        def keep(optimizer):
            kept["weight"] = net[0].weight.detach().clone()

        def put_back(optimizer):
            with torch.no_grad():
                net[0].weight.copy_(kept["weight"])

        found = violated(take_steps(wrapper, net, before=keep, tamper=put_back))
        assert [(row.module, row.tensor, round(row.projection, 9)) for row in found] == [("0", "weight update", -1.0)]

    def test_a_gradient_that_is_not_a_number_is_found(self, net):
        wrapper = OptimWrapper(OPTIMIZERS["SGD"](net.parameters()))

        def poison(optimizer):
            net[0].weight.grad[0, 0] = math.nan

        assert "0" in {row.module for row in violated(take_steps(wrapper, net, before=poison))}

    @pytest.mark.parametrize(("name", "state"), [(name, state) for name, states in STATES.items() for state in states])
    def test_a_state_a_thousandth_off_is_found_by_its_name(self, net, name, state):
        wrapper = OptimWrapper(OPTIMIZERS[name](net.parameters()))

        def spoil(optimizer):
            optimizer.state[net[2].weight][state].mul_(1.001)

        found = violated(take_steps(wrapper, net, tamper=spoil))
        assert [(row.module, row.tensor) for row in found] == [("2", f"weight {state.replace('_', ' ')}")]

    def test_a_spread_that_cancels_is_judged_by_its_rounding(self):
        """A gradient that hardly changes: its mean square less its squared mean is next to nothing."""
        for spoiled in (1.0, 1.001):
            parameter = nn.Parameter(torch.linspace(1, 2, 1000))
            optimizer = torch.optim.RMSprop([parameter], lr=1e-3, alpha=0.9, centered=True)
            wrapper = OptimWrapper(optimizer)
            groups = [{k: v for k, v in group.items() if k != "params"} for group in wrapper.param_groups]
            torch.manual_seed(1)
            for step in range(150):
                program = StepProgram(wrapper, {id(parameter): "weight"}, step, groups, None)
                program.before()
                parameter.grad = 1 + 3e-2 * torch.randn(1000)
                program.after_backward()
                optimizer.param_groups[0]["lr"] = 1e-3 * (spoiled if step == 149 else 1)
                optimizer.step()
                optimizer.param_groups[0]["lr"] = 1e-3
            (update,) = (check for check in program.after() if check.tensor == "weight update")
            assert update.error > 1e-6
            assert bool(violated([update])) is (spoiled > 1)

    @pytest.mark.parametrize(
        "make", [torch.optim.ASGD, torch.optim.Rprop, lambda p: OwnSGD(p, lr=0.1), lambda p: SGD(p, lr=0.1)]
    )
    def test_an_optimizer_without_an_update_says_so_and_how_much_that_leaves(self, net, make):
        optimizer = make(net.parameters())
        net[0].bias.requires_grad_(False)
        program = StepProgram(OptimWrapper(optimizer), {}, 0, [], None)
        assert type(optimizer).__name__ in program.reason
        assert program.updates == 3

    def test_accumulated_gradients_say_so(self, net):
        wrapper = OptimWrapper(torch.optim.SGD(net.parameters(), lr=1.0), accumulative_counts=2)
        assert "accumulated" in StepProgram(wrapper, {}, 0, [], None).reason


def stepped(optimizer, weights, gradients, before=lambda: None):
    """The rows of a step that a healthy optimizer doesn't have; ``before`` may change what the step is made with."""
    wrapper = OptimWrapper(optimizer)
    groups = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    program = StepProgram(wrapper, {id(weights): "layer.weight"}, 0, groups, None)
    program.before()
    weights.grad = gradients
    program.after_backward()
    before()
    optimizer.step()
    return violated(list(program.after()))


class TestSmallUpdates:
    """An update next to the weight's last place is rounded there, alike in all weights where the updates are alike."""

    @pytest.mark.parametrize("rate", [1e-2, 1e-5, 6e-8, 6e-10])
    @pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
    @pytest.mark.parametrize("how", [{"foreach": True}, {"fused": True}])
    @pytest.mark.parametrize("value", ["drawn", "ones"])
    def test_are_no_finding(self, rate, make, how, value):
        torch.manual_seed(7)
        weights = nn.Parameter(torch.randn(4096) * 0.1 if value == "drawn" else torch.ones(4096))
        assert stepped(make([weights], lr=rate, **how), weights, torch.randn(4096)) == ()

    def test_gradients_whose_squares_vanish_are_none(self):
        weights = nn.Parameter(torch.randn(64))
        optimizer = torch.optim.AdamW([weights], lr=1e-4, fused=True)
        assert stepped(optimizer, weights, torch.randn(64) * 1e-21) == ()

    def test_a_decay_that_is_coupled_is_one(self):
        torch.manual_seed(7)
        weights = nn.Parameter(torch.randn(4096))
        optimizer = torch.optim.Adam([weights], lr=1e-3, weight_decay=0.05, **DECOUPLED)
        if not DECOUPLED:
            pytest.skip("this PyTorch's Adam doesn't decouple")
        coupled = lambda: optimizer.param_groups[0].update(decoupled_weight_decay=False)  # noqa: E731
        assert stepped(optimizer, weights, torch.randn(4096), coupled)

    def test_another_second_moment_is_one(self):
        torch.manual_seed(7)
        weights = nn.Parameter(torch.randn(4096) * 0.1)
        optimizer = torch.optim.Adam([weights], lr=1e-2)
        assert stepped(
            optimizer, weights, torch.randn(4096), lambda: optimizer.param_groups[0].update(betas=(0.9, 0.99))
        )
