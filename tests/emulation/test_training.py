"""Training on the emulated device, held against the CPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from harness.lab.emulation import PROFILES, install
from tests.emulation.small_net import train

pytestmark = pytest.mark.on_device


def relative_difference(losses: list[float], reference: list[float]) -> float:
    return max(abs(a - b) / abs(b) for a, b in zip(losses, reference, strict=True))


def test_exact_is_bit_equal_to_the_cpu() -> None:
    reference, state = train("cpu")
    losses, device_state = train("sdaa")
    assert losses == reference
    assert all(torch.equal(device_state[name], value) for name, value in state.items())


def test_the_device_draws_from_a_stream_of_its_own_as_the_host_would() -> None:
    torch.manual_seed(5)
    host = torch.nn.functional.dropout(torch.ones(100), 0.5)
    after_host = torch.get_rng_state()
    torch.manual_seed(5)
    device = torch.nn.functional.dropout(torch.ones(100, device="sdaa"), 0.5)
    assert torch.equal(device.cpu(), host)
    assert not torch.equal(torch.get_rng_state(), after_host)
    assert torch.equal(torch.sdaa.get_rng_state(), after_host)


def test_profiles_are_ordered_by_their_distance() -> None:
    reference, _ = train("cpu")
    distance = {}
    for profile in PROFILES:
        install(profile)
        distance[profile] = relative_difference(train("sdaa")[0], reference)
    assert distance["exact"] == 0
    assert 0 < distance["fp32"] < 1e-5
    assert 3 * distance["fp32"] < distance["tf32"] < 1e-2
    assert distance["tf32"] < distance["bf16"] < 1e-1
    assert 3 * distance["fp32"] < distance["fp16"] < 1e-2
    assert 3 * distance["fp32"] < distance["sdaa"] < 1e-1


def test_switching_back_to_exact_leaves_no_trace() -> None:
    install("bf16")
    train("sdaa", iterations=1)
    install("exact")
    assert train("sdaa", iterations=2)[0] == train("cpu", iterations=2)[0]


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_autocast_trains_close_to_the_cpu_s_float32(half: str) -> None:
    reference, _ = train("cpu", iterations=3)
    losses, state = train("sdaa", iterations=3, autocast=getattr(torch, half))
    assert 0 < relative_difference(losses, reference) < 3e-2
    assert all(value.dtype is not getattr(torch, half) for value in state.values())


def difference(operation: Callable[[], torch.Tensor], profile: str) -> float:
    """Relative error norm between the profile and the CPU's own numerics."""
    install("exact")
    exact = operation().detach().cpu()
    install(profile)
    return ((operation().detach().cpu() - exact).norm() / exact.norm()).item()


def batch_norm_gradient() -> torch.Tensor:
    x = torch.linspace(-1, 3, 2 * 3 * 64).sin().view(2, 3, 8, 8).to("sdaa").requires_grad_()
    torch.nn.BatchNorm2d(3).to("sdaa")(x).pow(3).sum().backward()
    return x.grad


def attention() -> torch.Tensor:
    q, k, v = (torch.linspace(-2, 2, 2 * 4 * 9 * 8).mul(n).sin().view(2, 4, 9, 8).to("sdaa") for n in (7, 11, 13))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)


SCORES = torch.linspace(-5, 5, 4 * 100).mul(37).sin().view(4, 100)


OPERATIONS = {
    "softmax": lambda: torch.softmax(SCORES.to("sdaa"), -1),
    "log_softmax": lambda: torch.log_softmax(SCORES.to("sdaa"), 0),
    "sum": lambda: (SCORES.to("sdaa") + 3).sum(0),
    "mean": lambda: (SCORES.to("sdaa") + 3).mean(1),
    "batch norm": lambda: torch.nn.BatchNorm1d(100).to("sdaa")(SCORES.to("sdaa") + 7),
    "batch norm's gradient": batch_norm_gradient,
    "attention": attention,
}


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_fp32_differs_by_the_order_of_its_sums_alone(name: str) -> None:
    assert 0 < difference(OPERATIONS[name], "fp32") < 3e-6


MASK = torch.linspace(-1, 1, 81).view(9, 9)
ATTENTION = {
    "plain": {},
    "causal": {"is_causal": True},
    "mask": {"attn_mask": MASK, "scale": 0.3},
    "boolean mask": {"attn_mask": MASK < 0.7},
    "dropout": {"dropout_p": 0.2},
}


@pytest.mark.parametrize("name", list(ATTENTION))
def test_exact_attention_is_the_cpu_s_fused_one(name: str) -> None:
    results = {}
    for device in ("cpu", "sdaa"):
        leaves = [torch.linspace(-2, 2, 2 * 4 * 9 * 8).mul(n).sin().view(2, 4, 9, 8).to(device) for n in (7, 11, 13)]
        leaves = [leaf.requires_grad_() for leaf in leaves]
        settings = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in ATTENTION[name].items()}
        torch.manual_seed(0)
        y = torch.nn.functional.scaled_dot_product_attention(*leaves, **settings)
        y.square().sum().backward()
        results[device] = [t.detach().cpu() for t in (y, *(leaf.grad for leaf in leaves))]
    assert all(torch.equal(a, b) for a, b in zip(*results.values(), strict=True))


def test_attention_is_rounded_where_its_products_are() -> None:
    assert 1e-5 < difference(attention, "tf32") < 1e-3
    assert 1e-4 < difference(attention, "bf16") < 1e-2


def test_subnormals_are_flushed_where_the_profile_says_so() -> None:
    def product() -> torch.Tensor:
        return torch.tensor([[1e-30, 1.0]], device="sdaa") @ torch.tensor([[1e-10, 0.0], [0.0, 1.0]], device="sdaa")

    device = install("exact")
    assert product()[0, 0] > 0
    device.use(dataclasses.replace(PROFILES["fp32"], flush_to_zero=True))
    assert product().tolist() == [[0.0, 1.0]]
