"""The fault notation, and each fault at the operation that it changes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from harness.lab.emulation import install
from harness.lab.faults import FAULTS, catalogue, parse_fault
from harness.recording.clock import set_iteration
from harness.values.errors import UsageError


def test_a_fault_is_read_with_iteration_and_severity() -> None:
    fault = parse_fault("conv-wgrad-x1.05@10:1.2")
    assert (fault.name, fault.begins, fault.severity) == ("conv-wgrad-x1.05", 10, 1.2)
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv-wgrad", "conv-wgrad-x1.05"),
        ("", "can't be read"),
        ("bn-momentum-ignored@soon", "counted from 0"),
        ("bn-momentum-ignored:2", "no severity"),
        ("conv-wgrad-x1.05:much", "finite number"),
        ("conv-wgrad-x1.05:nan", "finite number"),
    ],
)
def test_what_can_t_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_fault(text)


def test_the_catalogue_says_what_each_fault_stands_for() -> None:
    for name, fault in FAULTS.items():
        assert name == fault.name == name.lower()
        assert fault.summary
        assert fault.stands_for
        assert (fault.severity is None) == (fault.severity_means == "")


def test_every_fault_has_a_name_of_its_own_and_the_blind_ones_say_so() -> None:
    names = [fault.name for area in catalogue._AREAS for fault in area.FAULTS]
    assert len(set(names)) == len(names) == len(FAULTS)
    assert {fault.name for fault in catalogue.blind.FAULTS} == {name for name, fault in FAULTS.items() if fault.blind}


def convolve(device: str) -> dict[str, torch.Tensor]:
    x = torch.linspace(-1, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8).to(device).requires_grad_()
    weight = torch.linspace(-1, 1, 4 * 3 * 3 * 3).view(4, 3, 3, 3).to(device).requires_grad_()
    y = functional.conv2d(x, weight)
    (y * y).sum().backward()
    return {"y": y.detach().cpu(), "x": x.grad.cpu(), "weight": weight.grad.cpu()}


@pytest.mark.on_device
def test_conv_wgrad_scales_the_weight_gradient_and_nothing_else() -> None:
    healthy = convolve("cpu")
    install("exact", [FAULTS["conv-wgrad-x1.05"]])
    faulty = convolve("sdaa")
    assert torch.equal(faulty["y"], healthy["y"])
    assert torch.equal(faulty["x"], healthy["x"])
    assert torch.equal(faulty["weight"], healthy["weight"] * 1.05)
    install("exact")
    assert torch.equal(convolve("sdaa")["weight"], healthy["weight"])


@pytest.mark.on_device
def test_a_fault_waits_for_its_iteration() -> None:
    healthy = convolve("cpu")["weight"]
    install("exact", [parse_fault("conv-wgrad-x1.05@2:3")])
    for iteration, factor in enumerate((1, 1, 3, 3)):
        set_iteration(iteration)
        assert torch.equal(convolve("sdaa")["weight"], healthy * factor)


def upsample(device: str, align_corners: bool) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1, 1, 32).view(1, 2, 4, 4).to(device).requires_grad_()
    y = functional.interpolate(x, (9, 7), mode="bilinear", align_corners=align_corners)
    (y * y).sum().backward()
    return y.detach().cpu(), x.grad.cpu()


@pytest.mark.on_device
@pytest.mark.parametrize("align_corners", [False, True])
def test_align_corners_is_its_opposite_forward_and_backward(align_corners: bool) -> None:
    install("exact", [FAULTS["align-corners-flipped"]])
    faulty, opposite = upsample("sdaa", align_corners), upsample("cpu", not align_corners)
    assert all(torch.equal(a, b) for a, b in zip(faulty, opposite, strict=True))
    install("exact")
    healthy = upsample("sdaa", align_corners)
    assert all(torch.equal(a, b) for a, b in zip(healthy, upsample("cpu", align_corners), strict=True))
    assert not torch.equal(healthy[0], faulty[0])


@pytest.mark.on_device
def test_bn_momentum_leaves_running_statistics_where_they_are() -> None:
    x = torch.linspace(-1, 3, 2 * 3 * 16).view(2, 3, 4, 4)

    def normalize(device: str) -> tuple[torch.Tensor, torch.Tensor]:
        norm = torch.nn.BatchNorm2d(3).to(device)
        return norm(x.to(device)).detach().cpu(), norm.running_mean.cpu()

    healthy = normalize("cpu")
    install("exact", [FAULTS["bn-momentum-ignored"]])
    faulty = normalize("sdaa")
    assert torch.equal(faulty[0], healthy[0])
    assert torch.equal(faulty[1], torch.zeros(3))
    assert not torch.equal(healthy[1], torch.zeros(3))
    install("exact")
    assert torch.equal(normalize("sdaa")[1], healthy[1])
