"""Other kernels round otherwise, and are nothing else: results, layouts and random streams stay what they are."""

import pytest
import torch
from torch import nn

from harness.recording.other_kernels import OtherKernels
from harness.running.around import noise_of
from harness.running.order import Order


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Upsample(scale_factor=2, mode="bilinear")),
        *(nn.AdaptiveAvgPool2d(7), nn.GroupNorm(4, 16), nn.Conv2d(16, 4, 1)),
    )


def step(net, seed=None):
    """Loss, gradients and buffers of a step from the same start."""
    torch.manual_seed(1)
    x = torch.randn(4, 3, 32, 32) + 3
    state = {name: value.clone() for name, value in net.state_dict().items()}
    net.zero_grad()
    if seed is None:
        loss = net(x).square().mean()
        loss.backward()
    else:
        with OtherKernels(seed):
            loss = net(x).square().mean()
            loss.backward()
    found = {"loss": loss.detach(), **{n: b.clone() for n, b in net.named_buffers() if b.is_floating_point()}}
    found |= {f"gradient of {name}": parameter.grad.clone() for name, parameter in net.named_parameters()}
    net.load_state_dict(state)
    return found


def test_they_round_otherwise_and_nothing_else(net):
    plain = step(net)
    runs = [step(net, seed) for seed in range(1, 7)]
    for name, due in plain.items():
        if "0.bias" in name:
            continue  # a gradient of rounding alone: what follows takes the mean away
        assert all((run[name] - due).norm() <= 1e-3 * due.norm() for run in runs), name  # some of them cancel
    assert any(not torch.equal(run["1.running_mean"], plain["1.running_mean"]) for run in runs)
    assert any(not torch.equal(run["gradient of 0.weight"], plain["gradient of 0.weight"]) for run in runs)


def test_the_same_seed_takes_the_same(net):
    first, second, other = step(net, 3), step(net, 3), step(net, 4)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_layouts_are_kept(net):
    x = torch.randn(2, 3, 8, 8)
    for seed in range(6):
        with OtherKernels(seed):
            assert net[:5](x).is_contiguous()
            laid_last = net[0](x.contiguous(memory_format=torch.channels_last))
        assert laid_last.is_contiguous(memory_format=torch.channels_last)


def test_random_streams_and_switches_are_left_alone(net):
    torch.manual_seed(5)
    due = torch.rand(3)
    torch.manual_seed(5)
    with OtherKernels(1):
        net(torch.ones(1, 3, 8, 8))
    assert torch.equal(torch.rand(3), due)
    assert torch.backends.mkldnn.enabled


@pytest.mark.parametrize(
    ("trusted", "tier", "seed", "modes"),
    [
        (True, "fp32", 3, 2),
        (True, "fp32", 4, 1),
        (True, "fp32", 0, 1),
        (True, "tf32", 3, 1),
        (False, "fp32", 3, 1),
        (True, "", 0, 0),
    ],
)
def test_every_second_of_a_reference_s_repeats_at_float32_takes_them(trusted, tier, seed, modes):
    """A port has kernels of its own; at coarser tiers the noise is a thousand times as large."""
    order = Order("case", "cpu", noise_tier=tier, noise_seed=seed, trusted=trusted)
    assert len(noise_of(order)) == modes
