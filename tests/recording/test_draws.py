"""What is drawn from a device's own generator is noticed."""

from types import SimpleNamespace

import pytest
import torch

from harness.recording.draws import DeviceDraws
from harness.values.trace import DEVICE_DRAWS


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
