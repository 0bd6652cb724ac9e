"""What checks by program find, and draws, as programs of their own."""

import math

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.kinds import read_operation
from harness.shadow.arithmetic.results import Compared
from harness.shadow.by_program.gradient_gathering import GradientsWatched
from harness.shadow.by_program.stepping import StepProgram
from harness.shadow.by_program.totals import check_total
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.files.reproduction_index import read_reproductions
from harness.shadow.reproducing.program import without_program
from harness.shadow.reproducing.reproductions import Reproductions

aten = torch.ops.aten

OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-2),
    "SGD foreach": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, foreach=True),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-2, amsgrad=True),
    "Adam fused": lambda p: torch.optim.Adam(p, lr=1e-2, fused=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.1),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=1e-2),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=1e-2, decoupled_weight_decay=True, weight_decay=0.1),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=1e-2, betas=(0.9, 0.6)),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-2, centered=True, momentum=0.5),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=1e-2, lr_decay=0.1),
    "Adadelta": lambda p: torch.optim.Adadelta(p, lr=1.0),
}


def kept_steps(folder, optimizer, tamper, steps=3, size=50, clip=None):
    """The reproductions of the last of a few steps that something is done to before it is looked at."""
    (parameter,) = optimizer.param_groups[0]["params"]
    wrapper = OptimWrapper(optimizer, clip_grad=clip)
    groups = [{k: v for k, v in group.items() if k != "params"} for group in wrapper.param_groups]
    reproductions = Reproductions(folder, "fp32")
    torch.manual_seed(3)
    for step in range(steps):
        program = StepProgram(wrapper, {id(parameter): "head.weight"}, step, groups, None, reproductions.keep)
        program.before()
        parameter.grad = torch.randn(size)
        program.after_backward()
        before = parameter.detach().clone()
        wrapper.step()
        if step == steps - 1:
            tamper(parameter, before)
        wrapper.zero_grad()
    list(program.after())
    return {each.tensor: each for each in read_reproductions(folder)}


def lengthen(parameter, before):
    """The update a hundredth longer."""
    with torch.no_grad():
        parameter.add_(parameter - before, alpha=0.01)


def relative(made, due):
    return float((made.double() - due).norm() / due.norm())


class TestStep:
    @pytest.mark.parametrize("name", OPTIMIZERS)
    @pytest.mark.parametrize("steps", [1, 7])
    def test_runs_again_alone_and_shows_that_the_lone_step_is_right(self, folder, again, name, steps):
        optimizer = OPTIMIZERS[name]([nn.Parameter(torch.randn(50))])
        (found,) = kept_steps(folder, optimizer, lengthen, steps=steps).values()
        assert (found.module, found.op, found.tensor) == ("head", name.split()[0], "weight update")
        values, out = again()
        assert relative(values["now"], values["due"]) < 1e-4  # as float32 rounds a parameter beside its update
        assert relative(values["made"], values["due"]) == pytest.approx(0.01, rel=0.02)
        assert out.count("projection") == 2
        assert "the host in float64" in out

    @pytest.mark.parametrize("name", ["Adam", "NAdam", "SGD"])
    def test_of_a_state_compares_the_state(self, folder, again, name):
        optimizer = OPTIMIZERS[name]([nn.Parameter(torch.randn(50))])
        state = {"Adam": "exp_avg_sq", "NAdam": "mu_product", "SGD": "momentum_buffer"}[name]

        def spoil(parameter, before):
            optimizer.state[parameter][state].mul_(1.01)

        (found,) = kept_steps(folder, optimizer, spoil).values()
        assert found.tensor == f"weight {state.replace('_', ' ')}"
        values, _ = again()
        assert relative(values["now"], values["due"]) < 1e-6
        assert relative(values["made"], values["due"]) == pytest.approx(0.01, rel=0.02)

    def test_takes_the_gradient_as_it_was_clipped_and_the_rate_that_was_due(self, folder, again):
        optimizer = OPTIMIZERS["SGD"]([nn.Parameter(torch.randn(50))])
        kept_steps(folder, optimizer, lengthen, clip={"max_norm": 0.5})
        values, _ = again()
        assert float(values["stored"]["gradient"].norm()) == pytest.approx(0.5, rel=1e-4)
        assert values["SETTINGS"]["lr"] == 0.1

    def test_of_a_large_parameter_is_a_sample_and_says_so(self, folder, again):
        optimizer = OPTIMIZERS["Adam"]([nn.Parameter(torch.randn(100_000))])
        (found,) = kept_steps(folder, optimizer, lengthen, size=100_000).values()
        assert "of 100000 elements" in found.note
        assert len(found.inputs) < 2**20
        values, _ = again()
        assert relative(values["now"], values["due"]) < 1e-4

    def test_of_half_precision_keeps_its_dtype(self, folder, again):
        optimizer = OPTIMIZERS["SGD"]([nn.Parameter(torch.randn(50, dtype=torch.bfloat16))])
        parameter = optimizer.param_groups[0]["params"][0]
        reproductions = Reproductions(folder, "bf16")
        groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        program = StepProgram(OptimWrapper(optimizer), {id(parameter): "w"}, 0, groups, None, reproductions.keep)
        program.before()
        parameter.grad = torch.ones(50, dtype=torch.bfloat16)
        program.after_backward()
        optimizer.step()
        with torch.no_grad():
            parameter.add_(1)
        list(program.after())
        values, _ = again()
        assert values["stored"]["parameter"].dtype == torch.bfloat16


class TestSums:
    def test_of_the_loss_adds_the_components(self, folder, again):
        outputs = {"decode.loss": torch.tensor(1.5), "aux.loss": torch.tensor(0.25), "loss": torch.tensor(1.5)}
        list(check_total(outputs, 0, Reproductions(folder, "fp32").keep))
        values, _ = again()
        assert (float(values["made"]), float(values["now"]), float(values["due"])) == (1.5, 1.75, 1.75)

    def test_of_a_gradient_adds_what_was_there_before(self, folder, again):
        layer = nn.Linear(6, 3)
        layer(torch.randn(4, 6)).sum().backward()
        watched = GradientsWatched(dict(layer.named_parameters()), 0, None, Reproductions(folder, "fp32").keep)
        layer(torch.randn(4, 6)).sum().backward()
        due = layer.weight.grad.clone()
        layer.weight.grad.mul_(1.1)
        list(watched.check())
        values, _ = again()
        assert torch.allclose(values["due"].float(), due.flatten())
        assert torch.allclose(values["made"].float(), 1.1 * due.flatten())
        assert relative(values["now"], values["due"]) < 1e-6


def offer_draw(folder, call, tensor="distribution"):
    """A draw that came out wrong."""
    check = ShadowCheck(0, Part.RANDOM, "drop", call.name, tensor, 1, "float32", (9,), True, math.inf, 0.0)
    Reproductions(folder, "fp32").offer(check, Compared(tensor, 0, torch.ones(9), torch.ones(9)), call)


def drawn(op, *args, **kwargs):
    torch.manual_seed(11)
    torch.rand(5)  # so that the state isn't the seed's
    call = Call(op, read_operation(op), (args, kwargs), state=torch.get_rng_state())
    return op(*args, **kwargs), call


class TestDraws:
    @pytest.mark.parametrize(
        ("op", "args", "kwargs"),
        [
            (aten.bernoulli_.float, (torch.ones(300), 0.25), {}),
            (aten.uniform_.default, (torch.ones(300), -1.0, 3.0), {}),
            (aten.normal_.default, (torch.ones(300, dtype=torch.float64), 2.0, 0.5), {}),
            (aten.native_dropout.default, (torch.randn(300), 0.3, True), {}),
            (aten.rand.default, ([300],), {"dtype": torch.float32, "device": torch.device("cpu"), "pin_memory": False}),
            (aten.bernoulli.default, (torch.full((300,), 0.5),), {}),
            (aten.multinomial.default, (torch.tensor([0.2, 0.8]), 300, True), {}),
        ],
    )
    def test_are_drawn_again_from_the_same_state(self, folder, again, op, args, kwargs):
        result, call = drawn(op, *args, **kwargs)
        offer_draw(folder, call)
        values, out = again()
        result = result[0] if isinstance(result, tuple) else result
        assert values["SEED"] == 11
        assert "draws the same again: True" in out
        if op is aten.native_dropout.default:  # by its shape alone
            assert torch.equal(values["first"] != 0, result != 0)
        else:
            assert torch.equal(values["first"], result)

    def test_say_what_is_expected_where_that_is_known(self, folder, again):
        _, call = drawn(aten.uniform_.default, torch.ones(3000), -1.0, 3.0)
        offer_draw(folder, call)
        values, out = again()
        assert "expected 1, 1.1547" in out
        assert values["off"] < 6

    def test_from_a_generator_of_their_own_begin_at_its_seed(self, folder, again):
        generator = torch.Generator().manual_seed(7)
        op = aten.uniform_.default
        call = Call(op, read_operation(op), ((torch.ones(30),), {"generator": generator}))
        offer_draw(folder, call)
        (found,) = read_reproductions(folder)
        assert "generator of its own" in found.note
        values, _ = again()
        assert torch.equal(values["first"], torch.rand(30, generator=torch.Generator().manual_seed(7)))

    def test_on_a_wrong_device_are_kept_by_the_mode(self, shadowed, wrong, folder, again, net):
        def dropping(x, labels):
            return net(x * torch.empty(x.shape).bernoulli_(0.5), labels)

        def biased(out, *args):
            return out.copy_((torch.arange(out.numel()) % 10 == 0).float().view_as(out))

        device = wrong("bernoulli_", biased)
        shadowed(device, forward=dropping, reproductions=Reproductions(folder, "fp32"))
        found = {each.tensor: each for each in read_reproductions(folder)}
        assert "distribution" in found
        values, out = again(found["distribution"].number)
        assert values["off"] < 6
        assert "expected 0.5, 0.5" in out


def test_unscaling_runs_again_with_a_host_of_its_own(folder, again):
    op = aten._amp_foreach_non_finite_check_and_unscale_.default
    gradients = [torch.randn(20), torch.randn(7)]
    before = ([gradient.double() for gradient in gradients], torch.zeros(1).double(), torch.tensor(0.5).double())
    args = (gradients, torch.zeros(1), torch.tensor(0.5))
    call = Call(op, read_operation(op), (args, {}), (before, {}))
    check = ShadowCheck(0, Part.OPTIMIZER, "", call.name, "self 1", 1, "float32", (7,), True, 0.5, 0.5)
    Reproductions(folder, "fp32").offer(
        check, Compared("self 1", -1, gradients[1], gradients[1], False, gradients[1]), call
    )
    values, _ = again()
    assert torch.equal(values["c"], 0.5 * gradients[1].double())
    assert torch.equal(values["r"], 0.5 * gradients[1].double())


@pytest.mark.parametrize(("poison", "found"), [(1.0, 0.0), (math.inf, 1.0), (math.nan, 1.0)])
def test_what_unscaling_finds_runs_again_too(folder, again, poison, found):
    op = aten._amp_foreach_non_finite_check_and_unscale_.default
    gradients, flag, inverse = [torch.tensor([1.0, poison])], torch.zeros(1), torch.tensor(0.5)
    before = ([gradients[0].double()], flag.double(), inverse.double())
    call = Call(op, read_operation(op), ((gradients, flag, inverse), {}), (before, {}))
    check = ShadowCheck(0, Part.OPTIMIZER, "", call.name, "found inf", 1, "float32", (1,), True, 0.5, 0.5)
    Reproductions(folder, "fp32").offer(check, Compared("found inf", -1, flag, flag, False, flag), call)
    values, _ = again()
    assert (float(values["c"]), float(values["r"])) == (found, found)


def test_a_check_without_a_program_is_listed_with_the_reason(folder):
    check = ShadowCheck(0, Part.OPTIMIZER, "", "schedule", "rate", -1, "float64", (), True, 0.5, 0.5)
    Reproductions(folder, "fp32").keep(check, without_program("two numbers are compared"))
    (found,) = read_reproductions(folder)
    assert found.note == "It has no program: two numbers are compared."
    assert found.program == ""
