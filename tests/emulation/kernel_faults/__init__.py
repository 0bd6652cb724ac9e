"""What each fault in kernels does to its operation: a file for each kind of operation that faults strike."""

from __future__ import annotations

from tests.emulation.kernel_faults import (
    attention,
    blind_forward,
    blind_gradients,
    blind_memory,
    convolution,
    losses,
    memory,
    normalization,
    precision,
    shapes,
)
from tests.emulation.kernel_faults.relation import Relation

AREAS = (
    attention,
    convolution,
    losses,
    memory,
    normalization,
    precision,
    shapes,
    blind_forward,
    blind_gradients,
    blind_memory,
)
RELATIONS: dict[str, list[Relation]] = {name: area.RELATIONS[name] for area in AREAS for name in area.RELATIONS}
