"""What operations can't show: the schedule, the loss, the batch, the gathered gradients."""

import copy
import math
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmengine.optim import OptimWrapper
from torch import nn

from harness.shadow.arithmetic.sample import LARGEST_SAMPLE, sample
from harness.shadow.by_program.feeding import InputsWatched
from harness.shadow.by_program.gradient_gathering import GradientsWatched
from harness.shadow.by_program.rate_schedule import scheduled_rates
from harness.shadow.by_program.totals import check_loss_scale, check_total
from harness.shadow.evidence.checks import Coverage, Part, ShadowRecord
from harness.shadow.judging.operations import weigh_shadow


def violated(checks, tier="fp32"):
    return weigh_shadow(ShadowRecord((0,), tuple(checks), Coverage()), tier).violations


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))


def test_a_sample_is_bounded_and_spread():
    x = torch.arange(1_000_000.0)
    found = sample(x)
    assert LARGEST_SAMPLE / 3 < len(found) <= LARGEST_SAMPLE
    assert found[-1] > 990_000
    assert torch.equal(sample(torch.ones(3, 4)), torch.ones(12, dtype=torch.float64))


class TestSchedule:
    def runner(self, scheduler, lr=0.1):
        optimizer = OptimWrapper(torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=lr))
        cfg = {"param_scheduler": scheduler}
        return SimpleNamespace(optim_wrapper=optimizer, cfg=cfg, max_iters=100)

    def test_rates_follow_the_config(self):
        poly = [{"type": "PolyLR", "eta_min": 0.0, "power": 1.0, "begin": 0, "end": 100, "by_epoch": False}]
        rates = scheduled_rates(self.runner(poly), 4)
        assert [rate for (rate,) in rates] == pytest.approx([0.1 * (1 - t / 99) for t in range(4)])

    def test_groups_of_their_own_have_a_rate_each_and_no_more(self):
        """Of several groups mmengine's wrapper has one more, of the base rate, which the optimizer hasn't."""
        runner = self.runner(
            [{"type": "PolyLR", "eta_min": 0.0, "power": 1.0, "begin": 0, "end": 100, "by_epoch": False}]
        )
        groups = [{"params": [nn.Parameter(torch.zeros(2))], "lr": rate} for rate in (0.1, 0.01)]
        runner.optim_wrapper = OptimWrapper(torch.optim.SGD(groups, lr=0.1))
        assert len(runner.optim_wrapper.param_groups) == 3
        assert scheduled_rates(runner, 2) == [pytest.approx([0.1, 0.01]), pytest.approx([0.099, 0.0099], rel=1e-2)]

    def test_without_one_the_rate_stays(self):
        assert scheduled_rates(self.runner(None), 3) == [[0.1]] * 3

    def test_epochs_are_not_counted(self):
        assert scheduled_rates(self.runner({"type": "StepLR", "step_size": 1, "by_epoch": True}), 3) is None


class TestLoss:
    def outputs(self, total):
        return {
            "decode.loss_ce": torch.tensor(1.5),
            "aux.loss_ce": torch.tensor(0.25),
            "decode.acc_seg": 50.0,
            "loss": total,
        }

    def test_the_sum_of_the_components_passes(self):
        assert violated(check_total(self.outputs(torch.tensor(1.75)), 0)) == ()

    @pytest.mark.parametrize("total", [1.5, 2.0, 1.75001, math.nan])
    def test_anything_else_is_found(self, total):
        (row,) = violated(check_total(self.outputs(torch.tensor(total)), 0))
        assert (row.part, row.tensor) == (Part.LOSS, "total")

    def test_without_components_there_is_nothing_to_say(self):
        assert list(check_total({"loss": torch.tensor(1.0)}, 0)) == []

    def wrapper(self, **settings):
        wrapper = OptimWrapper(torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=1.0))  # AmpOptimWrapper wants a GPU
        wrapper.loss_scaler = torch.amp.GradScaler("cpu", **settings)
        return wrapper

    @pytest.mark.parametrize(
        ("scale", "iteration", "well"),
        [(2**16, 0, True), (2**14, 2, True), (2**14, 1, False), (1, 3, False), (2**17, 3, False)],
    )
    def test_the_loss_scale_stays_where_its_config_leaves_it(self, scale, iteration, well):
        checks = check_loss_scale(self.wrapper(init_scale=float(scale)), self.wrapper(), iteration)
        assert (violated(checks) == ()) is well


def clip(parameter):
    parameter.grad.clamp_(-1e-3, 1e-3)


def put_another(parameter):
    parameter.grad = 0.5 * parameter.grad


def let_go(parameter):
    parameter.grad = None


def only_look(parameter):
    assert parameter.grad.isfinite().all()


HOOKS = {
    "clips it": clip,
    "puts another in its place": put_another,
    "lets go of it": let_go,
    "only looks": only_look,
}


@pytest.fixture
def lone_group(tmp_path):
    """Of one process, over the host."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield dist.group.WORLD
    dist.destroy_process_group()


class TestGradients:
    def test_what_the_backward_computes_arrives(self, net):
        watched = GradientsWatched(dict(net.named_parameters()), 0, None)
        net(torch.randn(4, 6)).sum().backward()
        checks = list(watched.check())
        assert len(checks) == 4
        assert violated(checks) == ()

    def test_what_was_there_before_is_counted(self, net):
        net(torch.randn(4, 6)).sum().backward()
        watched = GradientsWatched(dict(net.named_parameters()), 0, None)
        net(torch.randn(4, 6)).sum().backward()
        assert violated(watched.check()) == ()

    def test_a_gradient_that_is_changed_on_the_way_is_found(self, net):
        watched = GradientsWatched(dict(net.named_parameters()), 0, None)
        net(torch.randn(4, 6)).sum().backward()
        net[2].weight.grad.mul_(1.001)
        net[0].bias.grad = None
        found = violated(watched.check())
        assert {(row.module, row.tensor) for row in found} == {("2", "weight gradient"), ("0", "bias gradient")}

    @pytest.mark.parametrize("what", ["clips it", "puts another in its place", "lets go of it", "only looks"])
    def test_what_a_hook_of_the_program_makes_of_a_gradient_is_no_fault(self, net, what):
        """As where the update is made at once, gradient by gradient, to hold no more than one of them."""
        for parameter in net.parameters():
            parameter.register_post_accumulate_grad_hook(HOOKS[what])
        watched = GradientsWatched(dict(net.named_parameters()), 0, None)
        for _ in range(2):  # passes
            net(torch.randn(4, 6)).sum().backward()
        checks = list(watched.check())
        assert len(checks) == 4
        assert violated(checks) == ()
        assert all(list(p._post_accumulate_grad_hooks.values()) == [HOOKS[what]] for p in net.parameters())

    @pytest.mark.parametrize("what", ["clips it", "puts another in its place", "lets go of it", "only looks"])
    def test_what_comes_wrong_is_found_before_a_hook_of_the_program_changes_it(self, net, what):
        net[2].weight.register_post_accumulate_grad_hook(HOOKS[what])
        watched = GradientsWatched(dict(net.named_parameters()), 0, None)
        net[2].weight.register_hook(lambda gradient: gradient * 1.001)
        net(torch.randn(4, 6)).sum().backward()
        (row,) = violated(watched.check())
        assert (row.module, row.tensor) == ("2", "weight gradient")
        assert row.projection == pytest.approx(0.001, rel=0.01)

    def test_a_gradient_that_is_only_asked_for_takes_no_check_away(self, net):
        for parameter in net.parameters():
            parameter.register_post_accumulate_grad_hook(HOOKS["only looks"])
        watched = GradientsWatched(dict(net.named_parameters()), 0, None)
        net(torch.randn(4, 6)).sum().backward()
        torch.autograd.grad(net(torch.randn(4, 6)).square().sum(), list(net.parameters()))
        checks = list(watched.check())
        assert len(checks) == 4
        assert violated(checks) == ()

    @pytest.mark.parametrize("what", ["clips it", "puts another in its place", "only looks"])
    def test_processes_average_what_a_hook_of_the_program_made(self, net, what, lone_group):
        for parameter in net.parameters():
            parameter.register_post_accumulate_grad_hook(HOOKS[what])
        watched = GradientsWatched(dict(net.named_parameters()), 0, lone_group)
        net(torch.randn(4, 6)).sum().backward()
        net[0].weight.grad.mul_(1.001)
        (row,) = violated(watched.check())
        assert (row.module, row.tensor) == ("0", "weight gradient")

    @pytest.mark.parametrize("what", ["clips it", "puts another in its place", "only looks"])
    def test_processes_average_what_several_passes_and_the_hooks_left(self, net, what, monkeypatch):
        nets = [net, copy.deepcopy(net)]
        for parameter in (parameter for each in nets for parameter in each.parameters()):
            parameter.register_post_accumulate_grad_hook(HOOKS[what])
        watching = [GradientsWatched(dict(each.named_parameters()), 0, "two processes") for each in nets]
        for each in nets:
            for _ in range(2):  # passes
                each(torch.randn(4, 6)).square().sum().backward()
        monkeypatch.setattr(GradientsWatched, "_everyone", lambda _: [watched._local for watched in watching])
        for first, second in zip(*(each.parameters() for each in nets), strict=True):
            first.grad = second.grad = (first.grad + second.grad) / 2
        assert [violated(watched.check()) for watched in watching] == [(), ()]


class Preprocessor(nn.Module):
    def forward(self, data, training=False):
        images = torch.stack([image.float() / 60 for image in data["inputs"]])
        return {"inputs": images, "data_samples": {"labels": torch.stack(data["labels"])}}


class Fed(nn.Module):
    def __init__(self):
        super().__init__()
        self.data_preprocessor = Preprocessor()

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return inputs


class TestInputs:
    def batch(self):
        torch.manual_seed(4)
        return {"inputs": [torch.randint(0, 256, (3, 4, 4)) for _ in range(2)], "labels": [torch.ones(4, 4).long()] * 2}

    def found(self, change):
        model, batch = Fed(), self.batch()
        watched = InputsWatched(model, batch, 0)
        fed = model.data_preprocessor(batch, True)
        change(fed)
        model(**fed, mode="loss")
        return violated(watched.check())

    def test_the_loaders_batch_passes(self):
        assert self.found(lambda fed: None) == ()

    def test_another_order_of_the_labels_is_found(self):
        def shift(fed):
            fed["data_samples"]["labels"] = fed["data_samples"]["labels"] * 2

        assert [row.tensor for row in self.found(shift)] == ["labels"]

    def test_a_lost_sample_is_found(self):
        def lose(fed):
            fed["inputs"] = fed["inputs"][:1]

        assert [row.tensor for row in self.found(lose)] == ["images"]

    def test_rounded_images_are_found(self):
        def half(fed):
            fed["inputs"] = fed["inputs"].bfloat16().float()

        assert [row.tensor for row in self.found(half)] == ["images"]
