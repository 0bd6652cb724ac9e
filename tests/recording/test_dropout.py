"""Dropout from the host: the field's definition, the same mask every time it is asked for with the same seed."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from harness.recording.dropout import HostDropout


def dropped(name, *args, seed=0, module=F, **kwargs):
    torch.default_generator.manual_seed(seed)
    with HostDropout():
        return getattr(module, name)(*args, **kwargs)


@pytest.mark.parametrize("module", [F, torch])
def test_elements_are_dropped_and_the_rest_scaled(module):
    out = dropped("dropout", torch.ones(100, 1000), 0.25, True, module=module)
    assert set(out.unique().tolist()) == {0.0, 1 / 0.75} or out.unique().numel() == 2
    assert abs((out == 0).float().mean().item() - 0.25) < 0.01
    assert abs(out.mean().item() - 1.0) < 0.02


@pytest.mark.parametrize(
    ("function", "shape", "channels"),
    [
        ("dropout1d", (8, 64, 5), 2),
        ("dropout2d", (8, 64, 4, 6), 2),
        ("dropout3d", (8, 64, 2, 3, 4), 2),
        ("dropout2d", (8, 64, 6), 2),
        ("dropout3d", (64, 2, 3, 4), 1),
    ],
)
def test_whole_channels_are_dropped(function, shape, channels):
    out = dropped(function, torch.ones(shape), 0.5, True).flatten(channels)
    assert (out == out[..., :1]).all()
    assert 0.3 < (out == 0).float().mean() < 0.7


def test_masks_follow_the_host_generator_alone():
    x = torch.randn(4, 16, 8, 8)
    assert torch.equal(dropped("dropout2d", x, 0.1, True, seed=3), dropped("dropout2d", x, 0.1, True, seed=3))
    assert not torch.equal(dropped("dropout2d", x, 0.5, True, seed=3), dropped("dropout2d", x, 0.5, True, seed=4))


def test_double_has_the_mask_of_single():
    x = torch.ones(4, 16, 8, 8)
    single, double = (dropped("dropout2d", x.to(dtype), 0.3, True) for dtype in (torch.float32, torch.float64))
    assert torch.equal(single == 0, double == 0)


def test_evaluation_and_zero_probability_change_nothing():
    x = torch.randn(3, 4)
    assert dropped("dropout", x, 0.5, False) is x
    assert dropped("dropout", x, 0.0, True) is x
    assert (dropped("dropout", x, 1.0, True) == 0).all()


def test_in_place_changes_the_input():
    x = torch.ones(100)
    assert dropped("dropout", x, 0.5, True, inplace=True) is x
    assert (x == 0).any()


def test_modules_are_covered_and_everything_is_put_back():
    original = F.dropout2d
    module, x = torch.nn.Dropout2d(0.5), torch.ones(2, 50, 3, 3)
    torch.default_generator.manual_seed(0)
    with HostDropout():
        out = module(x)
    assert torch.equal(out, dropped("dropout2d", x, 0.5, True))
    assert F.dropout2d is original


def test_gradients_pass_the_kept_and_checkpointing_draws_the_same_mask_again():
    x = torch.ones(10, 20, requires_grad=True)
    torch.default_generator.manual_seed(0)
    with HostDropout():
        out = checkpoint(lambda t: F.dropout(t, 0.5, True) * t, x, use_reentrant=False)
        out.sum().backward()
    assert torch.equal(x.grad == 0, out == 0)


def test_torch_names_it_as_torch_does():
    x = torch.ones(100)
    torch.default_generator.manual_seed(0)
    with HostDropout():
        named, trained = torch.dropout(x, p=0.5, train=True), torch.dropout(input=x, p=0.5, train=False)
    assert torch.equal(named, dropped("dropout", x, 0.5, True))
    assert torch.equal(trained, x)
