"""Healthy noise: the maths stays, the rounding doesn't."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from harness.recording.healthy_noise import HealthyNoise
from harness.values.errors import DeviceError

EPSILON = 2.0**-23
RESULTS = ("convolution", "bmm", "mm", "addmm", "baddbmm")


def compute(dtype: torch.dtype, noise: HealthyNoise | None = None) -> dict[str, torch.Tensor]:
    """One pass through each operation that noise acts on, forward and backward."""
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    leaves = x, weight, bias, a, b, c = (
        draw(2, 6, 8, 8),
        draw(5, 6, 3, 3),
        draw(5),
        draw(3, 4, 7),
        draw(3, 7, 5),
        draw(5),
    )
    state = torch.get_rng_state()
    with noise if noise is not None else torch.enable_grad():
        results = {
            "convolution": functional.conv2d(x, weight, bias),
            "bmm": torch.bmm(a, b),
            "mm": a[0] @ b[0],
            "addmm": torch.addmm(c, a[1], b[1]),
            "baddbmm": torch.baddbmm(c, a, b),
        }
        sum((result * result).sum() for result in results.values()).backward()
    assert torch.equal(torch.get_rng_state(), state)
    gradients = {f"gradient {i}": leaf.grad for i, leaf in enumerate(leaves)}
    return {name: value.detach() for name, value in (results | gradients).items()}


def largest_error(value: dict[str, torch.Tensor], reference: dict[str, torch.Tensor]) -> dict[str, float]:
    return {
        name: ((value[name].double() - exact.double()).norm() / exact.double().norm()).item()
        for name, exact in reference.items()
    }


def test_float64_results_are_unchanged_but_for_their_rounding() -> None:
    errors = largest_error(compute(torch.float64, HealthyNoise("fp32", seed=3)), compute(torch.float64))
    assert all(error < 1e-15 for error in errors.values()), errors
    assert all(errors[name] > 0 for name in RESULTS), errors


def test_fp32_repeats_spread_by_the_order_of_epsilon() -> None:
    exact = compute(torch.float64)
    errors = largest_error(compute(torch.float32, HealthyNoise("fp32", seed=3)), exact)
    plain = largest_error(compute(torch.float32), exact)
    assert all(errors[name] < 4 * plain[name] + EPSILON for name in errors), (errors, plain)
    repeats = [compute(torch.float32, HealthyNoise("fp32", seed)) for seed in (1, 2, 3)]
    assert not torch.equal(repeats[0]["convolution"], repeats[1]["convolution"])
    assert not torch.equal(repeats[1]["convolution"], repeats[2]["convolution"])


@pytest.mark.parametrize(("tier", "bits"), [("tf32", 10), ("fp16", 10), ("bf16", 7)])
@pytest.mark.parametrize("seed", [0, 4])
def test_tiers_round_operands_to_their_mantissa(tier: str, bits: int, seed: int) -> None:
    unit = 2.0 ** -(bits + 1)
    errors = largest_error(compute(torch.float32, HealthyNoise(tier, seed)), compute(torch.float64))
    # The relative error of a rounded operand is uniform up to one unit; a product carries two, a gradient some more,
    # and the gradient of a bias, which is a mean, less.
    assert all(error < 4 * unit for error in errors.values()), errors
    assert all(errors[name] > 0.2 * unit for name in RESULTS), errors


def test_fp32_unscaled_is_the_plain_run() -> None:
    plain, unscaled = compute(torch.float32), compute(torch.float32, HealthyNoise("fp32", seed=0))
    assert all(torch.equal(unscaled[name], value) for name, value in plain.items())


def test_a_seed_repeats_itself_and_an_instance_goes_on() -> None:
    noise = HealthyNoise("fp32", seed=9)
    first, second = compute(torch.float32, noise), compute(torch.float32, noise)
    again = compute(torch.float32, HealthyNoise("fp32", seed=9))
    assert all(torch.equal(again[name], value) for name, value in first.items())
    assert not torch.equal(first["convolution"], second["convolution"])


def test_an_unknown_tier_lists_the_valid_ones() -> None:
    with pytest.raises(DeviceError, match="fp32, tf32, fp16, bf16"):
        HealthyNoise("fp8")


def test_what_is_marked_as_conjugated_is_multiplied_as_such() -> None:
    """The gradient of a complex product is of a conjugate, which PyTorch writes down by a mark alone."""
    generator = torch.Generator().manual_seed(3)
    a, b = (torch.randn(3, 4, 4, dtype=torch.complex64, generator=generator).requires_grad_() for _ in range(2))
    due = torch.autograd.grad(torch.bmm(a, b).abs().square().sum(), [a, b])
    with HealthyNoise("fp32", 1):
        made = torch.autograd.grad(torch.bmm(a, b).abs().square().sum(), [a, b])
    for one, other in zip(made, due, strict=True):
        assert 0 < float((one - other).norm() / other.norm()) < 100 * EPSILON
