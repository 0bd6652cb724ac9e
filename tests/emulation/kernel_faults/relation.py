"""What a fault does to an operation's results, as a check that is told the fault's name."""

from __future__ import annotations

from collections.abc import Callable

import torch

from harness.lab.emulation import install
from harness.lab.faults import parse_fault
from tests.emulation.probes import Results

Relation = Callable[[str], None]


def measure(name: str, probe: Callable[[], Results]) -> tuple[Results, Results]:
    """The probe's results on the healthy device and on the faulty one; and again on the healthy one, to be the same."""
    install("exact")
    healthy = probe()
    install("exact", [parse_fault(name)])
    faulty = probe()
    install("exact")
    again = probe()
    assert all(same(again[part], value) for part, value in healthy.items())
    return healthy, faulty


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a.nan_to_num(7), b.nan_to_num(7))


def only(probe: Callable[[], Results], atol: float = 1e-6, **changed: Callable[[Results], torch.Tensor]) -> Relation:
    """The named parts become what the functions make of the healthy results; all others stay, bit for bit."""

    def check(name: str) -> None:
        healthy, faulty = measure(name, probe)
        assert changed.keys() <= healthy.keys()
        for part, value in healthy.items():
            if part in changed:
                wanted = changed[part](healthy)
                assert torch.allclose(faulty[part], wanted, rtol=1e-5, atol=atol, equal_nan=True), part
                assert not same(faulty[part], value), part
            else:
                assert same(faulty[part], value), part

    return check


def within(probe: Callable[[], Results], part: str, least: float, most: float) -> Relation:
    """The part changes by a relative error norm between the two."""

    def check(name: str) -> None:
        healthy, faulty = measure(name, probe)
        error = ((faulty[part] - healthy[part]).norm() / healthy[part].norm()).item()
        assert least <= error <= most, error

    return check


def over_channels(vector: torch.Tensor) -> torch.Tensor:
    """(C,) seen as (1, C, 1, 1)."""
    return vector.view(1, -1, 1, 1)
