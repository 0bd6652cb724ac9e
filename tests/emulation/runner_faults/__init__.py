"""What each fault that acts through mmengine's Runner does: a file for each thing that such faults change."""

from __future__ import annotations

from tests.emulation.runner_faults import batch_and_loss, blind_data, blind_state, processes, schedule, steps
from tests.emulation.runner_faults.stand_in import Check

AREAS = (batch_and_loss, processes, schedule, steps, blind_data, blind_state)
CHECKS: dict[str, Check] = {name: area.CHECKS[name] for area in AREAS for name in area.CHECKS}
