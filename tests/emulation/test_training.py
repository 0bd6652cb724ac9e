"""Training on the emulated device, held against the CPU."""

from __future__ import annotations

import pytest
import torch
from small_net import train

from harness.emulation import PROFILES, install

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
