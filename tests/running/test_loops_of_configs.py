"""What a config's loop and schedule are counted in: what a case would leave out is refused before training."""

import pytest
from mmengine.config import Config

from harness.running.experiment import require_known_loop, require_steady_schedule
from harness.values.errors import CaseError


@pytest.mark.parametrize("loop", [None, {}, {"type": "IterBasedTrainLoop"}, {"by_epoch": True, "max_epochs": 3}])
def test_loops_of_mmengine_are_counted(loop):
    require_known_loop(Config({"train_cfg": loop}))


def test_a_loop_of_ones_own_is_refused():
    with pytest.raises(CaseError, match="a loop of its own") as refused:
        require_known_loop(Config({"train_cfg": {"type": "TeacherStudentTrainLoop"}}))
    assert "AlignmentHook" in refused.value.hint


def test_a_schedule_of_epochs_is_refused_past_the_first():
    step = {"type": "StepLR", "step_size": 1}
    require_steady_schedule({"param_scheduler": [step]}, epoch=30, iterations=30)
    require_steady_schedule({"param_scheduler": {**step, "by_epoch": False}}, epoch=3, iterations=30)
    require_steady_schedule({"param_scheduler": {**step, "convert_to_iter_based": True}}, epoch=3, iterations=30)
    require_steady_schedule({}, epoch=3, iterations=30)
    with pytest.raises(CaseError, match="steps at the end of each epoch") as refused:
        require_steady_schedule({"param_scheduler": step}, epoch=20, iterations=30)
    assert refused.value.hint == "--iterations 20"
