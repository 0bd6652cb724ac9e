"""What is drawn from a device's own generator is noticed."""

from types import SimpleNamespace

import pytest
import torch

from harness.devices.device_registry import type_of_kind
from harness.recording.generator_draws import DeviceDraws, next_host_draw
from harness.values.trace import DEVICE_DRAWS, HOST_DRAWS


@pytest.fixture
def generator(monkeypatch):
    """The generator of a device of another kind."""
    generator = torch.Generator().manual_seed(1)
    monkeypatch.setattr(torch, "odd", SimpleNamespace(get_rng_state=generator.get_state), raising=False)
    return generator


@pytest.mark.parametrize(("elements", "drawn"), [(0, 0.0), (1, 1.0), (1000, 1.0)])
def test_a_draw_moves_the_generator(generator, elements, drawn):
    draws = DeviceDraws("odd")
    draws.before()
    torch.rand(elements, generator=generator)
    assert draws.signal() == {DEVICE_DRAWS: drawn}


def test_each_iteration_is_told_by_itself(generator):
    draws = DeviceDraws("odd")
    draws.before()
    torch.rand(3, generator=generator)
    assert draws.signal() == {DEVICE_DRAWS: 1.0}
    draws.before()
    assert draws.signal() == {DEVICE_DRAWS: 0.0}


@pytest.mark.parametrize("kind", ["cpu", "a device that tells nothing"])
def test_where_nothing_is_known_nothing_is_said(kind):
    draws = DeviceDraws(kind)
    draws.before()
    assert draws.signal() == {}


def test_a_device_whose_generator_moves_by_itself_says_nothing(generator, monkeypatch):
    """XLA's moves at every sync."""
    monkeypatch.setattr(type_of_kind("odd"), "draws_move_state", False, raising=False)
    draws = DeviceDraws("odd")
    draws.before()
    torch.rand(3, generator=generator)
    assert draws.signal() == {}


def test_what_the_host_would_draw_next_tells_how_much_it_drew():
    told = []
    for elements in (0, 3, 3, 1000):
        torch.manual_seed(7)
        torch.rand(elements)
        told.append(next_host_draw()[HOST_DRAWS])
        assert next_host_draw()[HOST_DRAWS] == told[-1] == float(torch.rand((), dtype=torch.float64))
    assert told[1] == told[2]
    assert len(set(told)) == 3
